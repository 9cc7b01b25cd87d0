# A headless GPU server: the native engine for Vulkan, and Deno from npm.
#
#   docker build -t spiel .
#   docker run --rm --gpus all spiel                    # what the machine is ready for
#   docker run --rm --gpus all spiel train --config examples/demo/config.yaml --host native --device gpu \
#     --max-steps 2 --eval-generate 0 --out /tmp/smoke   # two steps on the GPU, to see it work
#   docker run --rm --gpus all -v "$PWD:/data" -w /data spiel train --device gpu --model … --data …
#
# NVIDIA: the container toolkit brings the driver in, Vulkan's part of it for the capability "graphics" alone.
# AMD and Intel: --device /dev/dri in the place of --gpus all; Mesa's drivers are installed here.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /spiel
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN cargo build --release --locked -p spiel-engine --features gpu

FROM node:22-bookworm-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    ca-certificates libegl1 libvulkan1 libx11-6 libxext6 mesa-vulkan-drivers \
  && rm -rf /var/lib/apt/lists/* \
  && npm install --global deno@2.9.6
WORKDIR /spiel
COPY . .
COPY --from=build /spiel/target/release/libspiel_engine.so target/release/
RUN deno cache --frozen cli/main.ts cli/commands/*.ts
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics \
  NVIDIA_VISIBLE_DEVICES=all \
  XDG_RUNTIME_DIR=/tmp
ENTRYPOINT ["deno", "run", "--no-prompt", "-A", "/spiel/cli/main.ts"]
CMD ["doctor"]
