# A worker or a launcher of batch jobs, for any engine: see docs/batch.md.
#
#   docker build -t emotion_musicvae .
#   docker build -t emotion_musicvae --build-arg BASE=apache/beam_python3.11_sdk:2.77.0 .
ARG BASE=python:3.11-slim
FROM ${BASE}

# Spark's launcher and workers take Java; nothing else here does.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jre-headless \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/emotion_musicvae
COPY requirements-batch.lock ./
RUN pip install --no-cache-dir --no-deps -r requirements-batch.lock
COPY . .
RUN pip install --no-cache-dir --no-deps .
