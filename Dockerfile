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
COPY pyproject.toml README.md LICENSE ./
COPY asr asr
COPY configs configs
COPY recipes recipes
RUN /opt/asr/bin/pip install "torch>=2.11,<2.14" && /opt/asr/bin/pip install ".[serve,media]"
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
# Numba uses a cache only in a folder that it can write to.
ENTRYPOINT ["sh", "-c", "cp -R /opt/asr/numba /tmp/ && exec asr serve --host 0.0.0.0 \"$@\"", "asr-serve"]
