# asr serve in a container, on the CPU:
#
#   docker build -t asr .
#   docker run --rm -p 8000:8000 -e ASR_TOKEN=secret --read-only --tmpfs /tmp --cap-drop ALL asr
#   docker run … -v "$PWD/runs/mine/seed=1/model:/model:ro" asr --model /model
#
# The program runs without root's rights and writes to /tmp alone. As other machines reach it, it needs a token.
FROM python:3.12-slim AS build
# PyTorch's index of CPU builds, given here, keeps 4 GB of CUDA's libraries out of the image.
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/asr
WORKDIR /src
# What the package needs is installed before its source is copied: again when pyproject.toml changes, and only then.
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    extras = project['optional-dependencies']; \
    print(*project['dependencies'], *extras['serve'], *extras['media'], sep='\n')" > requirements.txt \
    && /opt/asr/bin/pip install -r requirements.txt
COPY README.md LICENSE ./
COPY asr asr
COPY configs configs
COPY recipes recipes
RUN /opt/asr/bin/pip install --no-deps .
# The search is compiled now and not whenever a container starts; another kind of processor compiles it again.
RUN NUMBA_CACHE_DIR=/opt/asr/numba /opt/asr/bin/asr transcribe recipes/english/clips/commission.opus

FROM python:3.12-slim
COPY --from=build /opt/asr /opt/asr
ENV PATH=/opt/asr/bin:$PATH HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
# Python answers SIGINT from its start on. SIGTERM, which nothing handles before the program does, would not end process 1.
STOPSIGNAL SIGINT
# Numba uses a cache only in a folder that it can write to.
ENTRYPOINT ["sh", "-c", "cp -R /opt/asr/numba /tmp/ && exec asr serve --host 0.0.0.0 \"$@\"", "asr-serve"]
