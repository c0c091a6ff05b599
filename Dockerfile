# Evaluation in a container: charts and web pages, judges behind an endpoint. No GPU.
#
# No test builds this image. tests/test_images.py only checks that the copied files and the commands
# exist.
#
#   docker build -t rrvf-eval .
#   docker run --rm rrvf-eval doctor
#   docker run --rm -v "$PWD:/work" rrvf-eval score chartmimic --data DATASET \
#       --predictions ANSWERS.jsonl --out RUN
#
# Answers are untrusted code. `doctor` shows which confinement the container allows; rrvf refuses
# anything weaker than Landlock unless --confinement names it.
FROM python:3.11-slim-bookworm

# The fonts are those that `rrvf doctor` asks for where texts cannot be written.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        chromium-headless-shell fonts-noto-cjk fonts-noto-color-emoji fonts-noto-core \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/rrvf
COPY requirements/demo.txt requirements/
RUN python -m pip install --no-cache-dir -r requirements/demo.txt
COPY LICENSE README.md pyproject.toml ./
COPY results results
COPY rrvf rrvf
COPY training training
COPY vlmeval_plugin vlmeval_plugin
RUN python -m pip install --no-cache-dir --no-deps .

# An ordinary user: an answer that broke out would not be root.
RUN useradd --create-home rrvf
USER rrvf
RUN rrvf setup-browser
WORKDIR /work
ENTRYPOINT ["rrvf"]
CMD ["--help"]
