# Two commands for a fresh Debian or Ubuntu with python3, python3-venv and make:
#
#   make demo    builds a small network, talks through it, breaks and mends a link, takes it down
#   make test    runs every test
#
# Both install into .venv what they need, and only once. What apt-get would have to install is
# installed where that asks no password; otherwise the command that does it is printed.

PYTHON ?= python3
PYTEST_ARGS ?=
# Half as many again as there are cores: most tests wait for something most of the time.
WORKERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

# COMMAND:PACKAGE for what the tests run besides labctl.
TEST_PROGRAMS = atftp:atftp bwrap:bubblewrap cc:gcc cc:libc6-dev dot:graphviz inetd:openbsd-inetd \
	ip:iproute2 linux.uml:user-mode-linux modprobe:kmod nc:netcat-openbsd \
	ntpdig:ntpsec-ntpdig patch:patch ping:iputils-ping ps:procps redis-cli:redis-tools tcpdump:tcpdump \
	tftp:tftp-hpa traceroute:traceroute tshark:tshark

.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -eu -c
.DELETE_ON_ERROR:
# An ordinary user's PATH on Debian lacks the folders in which traceroute and others are.
export PATH := $(PATH):/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help
help:
	@sed -n '/^#   make/s/^# *//p' Makefile

# On Ctrl-C the lab goes down as well. While `up` runs, the shell only takes note of Ctrl-C: labctl
# undoes a half-built lab by itself, and a finished one must not be forgotten.
.PHONY: demo
demo: .venv/demo-ready
	@PATH="$(CURDIR)/.venv/bin:$$PATH"
	step() {
		printf '\n$$'
		for word; do case $$word in *' '*) printf " '%s'" "$$word" ;; *) printf ' %s' "$$word" ;; esac; done
		printf '\n'
		"$$@"
	}
	stopped=
	trap 'stopped=yes' INT TERM HUP
	echo 'A server between two networks, and one client on each.'
	step labctl up two_clients
	trap 'trap "" INT TERM HUP; step labctl down two_clients' EXIT
	trap 'exit 130' INT TERM HUP
	[ -z "$$stopped" ] || exit 130
	step labctl ping two_clients
	step labctl run -l two_clients -d --ready 'listening udp/8080' server time_server 0.0.0.0 8080
	step labctl run -l two_clients client1 time_client 10.0.1.1 8080
	step labctl run -l two_clients client2 time_client 10.0.2.1 8080
	printf '\nNow all that client2 sends is lost. client1 has a link of its own.\n'
	step labctl impair -l two_clients client2 loss 100%
	code=0
	step labctl run -l two_clients client2 time_client 10.0.2.1 8080 -t 200 -n 2 || code=$$?
	[ $$code = 3 ] || { echo "error: client2 was to get no answer (exit code 3, not $$code)" >&2; exit 1; }
	step labctl run -l two_clients client1 time_client 10.0.1.1 8080
	printf '\nMended, the link carries everything again, and client2 is answered.\n'
	step labctl impair -l two_clients client2 --clear
	step labctl run -l two_clients client2 time_client 10.0.2.1 8080

.PHONY: test
test: .venv/test-ready
	@missing=
	for pair in $(TEST_PROGRAMS); do
		command -v "$${pair%%:*}" >/dev/null || missing="$$missing $${pair#*:}"
	done
	$(call apt_get_install,$$missing,the tests need)
	PATH="$(CURDIR)/.venv/bin:$$PATH"
	python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

# Stamps, so that the second time costs nothing.
.venv/demo-ready: .venv/bin/python pyproject.toml bin/labctl
	@echo 'installing labctl into .venv'
	.venv/bin/python -m pip install --quiet --editable .
	touch $@

.venv/test-ready: .venv/bin/python pyproject.toml bin/labctl
	@echo 'installing labctl and the tools of its tests into .venv'
	.venv/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@ .venv/demo-ready

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || {
		echo 'error: no $(PYTHON)'
		echo 'hint: sudo apt-get install python3 python3-venv, or make PYTHON=...'
		exit 1
	} >&2
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "error: labctl needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V)"
		echo 'hint: name a newer one: make PYTHON=python3.11'
		exit 1
	} >&2
	missing=
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing=python3-venv
	$(call apt_get_install,$$missing,a virtual environment needs)
	$(PYTHON) -m venv --clear .venv

# $(call apt_get_install,PACKAGES,REASON): nothing where PACKAGES is empty. Never waits for a password.
define apt_get_install
if [ -n "$1" ]; then
	install="apt-get install --yes --no-install-recommends $$(echo $1)"
	as_root=
	[ "$$(id -u)" = 0 ] || as_root='sudo -n'
	if command -v apt-get >/dev/null && { [ -z "$$as_root" ] || sudo -n true 2>/dev/null; }; then
		echo "$2 $$(echo $1): installing"
		$$as_root apt-get update --quiet --quiet
		$$as_root env DEBIAN_FRONTEND=noninteractive $$install --quiet --quiet >/dev/null
	else
		echo "error: $2 packages that are not installed: $$(echo $1)" >&2
		echo "hint: sudo apt-get update && sudo $$install" >&2
		exit 1
	fi
fi
endef
