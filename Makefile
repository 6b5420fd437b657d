# The ways in: `make run` tries aplomb on this machine, `make test` runs all tests.
# The work is done by cargo and by `cargo xtask`; this only installs what is missing first.

SHELL := /bin/bash
# rustup's toolchain is found even in a shell that has not read its environment yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help run lab test bpf bench lint fuzz install

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

# LAB holds further arguments of `aplomb lab http`: make run LAB="--seconds 10"
run: ## Build, and start three backends and a balancer on loopback (no root needed)
	@scripts/setup.sh build
	cargo build --locked --profile lab --package aplomb
	target/lab/aplomb lab http $(LAB)

# MODE is nat, direct or tunnel; LAB as above
MODE ?= direct
lab: ## As root: client, director and servers in namespaces, forwarded by the kernel (MODE=nat|direct|tunnel), or two that fail over (MODE=vrrp)
	@scripts/setup.sh build
	cargo build --locked --profile lab --package aplomb
	target/lab/aplomb lab $(MODE) $(LAB)

test: ## Install what tests need, and run all of them
	@scripts/setup.sh test
	cargo test --locked --workspace

bpf: ## Rebuild the kernel program's object and compare; try it on another kernel
	@scripts/setup.sh bpf
	@scripts/setup.sh guest
	cargo xtask bpf --check
	cargo xtask guest check

bench: ## Measure beside haproxy, nginx and Envoy; the table goes to bench/results
	@scripts/setup.sh bench
	cargo xtask bench http
	cargo xtask bench tcp

lint: ## Format, clippy, documentation, layers, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items
	cargo xtask layers
	cargo xtask docs
	cargo deny --log-level warn check licenses bans sources

fuzz: ## Run every fuzz target for a bounded number of executions
	@scripts/setup.sh fuzz
	cargo xtask fuzz

install: ## Build for good, and install: as root, or with DESTDIR= for a package
	@scripts/setup.sh build
	cargo build --locked --release --package aplomb
	packaging/install.sh target/release/aplomb
