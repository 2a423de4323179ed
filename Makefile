# The newcomer's two commands: make demo, make test.  Both install what they need.
PYTHON ?= python3
LAB_HOSTS ?= 3
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo -E,)

COLLECTIONS := $(CURDIR)/.cache
export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test gates bench lint unit browser guests kernel debian13 sriov fleet scale systemd faults soak molecule sanity integration docs release lab lab-sriov lab-systemd lab-down lab-hairpin packages clean

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: packages .venv/ansible ## three hosts, three modes, one playbook, proven by frames
	@$(SUDO) tests/lab/demo.sh

test: packages .venv/tests ## what a change is held to; ends with how many passed
	@$(SUDO) env "PATH=$$PATH" tests/run.py

gates: packages .venv/tests ## everything, also what takes too long for each change
	@$(SUDO) env "PATH=$$PATH" tests/run.py --all

lint unit browser guests kernel debian13 sriov fleet scale systemd molecule sanity integration: packages .venv/tests ## one part of the tests
	@$(SUDO) env "PATH=$$PATH" tests/run.py $@

faults: packages .venv/tests ## hurt hosts in the middle of a change; ends with how many were lost, and seconds to restore
	@$(SUDO) env "PATH=$$PATH" tests/run.py faults nightly

soak: packages .venv/tests ## 200 cycles of random edits on three hosts, or SOAK_CYCLES; ends with what they have left behind
	@$(SUDO) env "PATH=$$PATH" tests/run.py soak

bench: packages .venv/bench ## measure, beside a peer and the raw process; BENCH="headline growth domains site fleet guards quick"
	@$(SUDO) env "PATH=$$PATH" python -m tests.bench $(BENCH)

docs: .venv/docs ## the documentation as a site, in dist/site
	@docs/site/build.sh dist/site

release: .venv/release ## the collection's tarball and a wheel of it, from the commit, into dist/
	@release/build.py

lab: packages ## start LAB_HOSTS lab hosts (3) and write .lab/inventory.yml
	@$(SUDO) tests/lab/lab.py up $(LAB_HOSTS)

lab-sriov: packages ## the same and kvmsriov, a virtual machine with two SR-IOV NICs; without KVM, so some twenty times slower
	@$(SUDO) tests/lab/debian13.sh $(CURDIR)/.cache/debian13
	@$(SUDO) tests/lab/sriov.sh $(CURDIR)/.cache/sriov $(CURDIR)/.cache/debian13
	@$(SUDO) tests/lab/lab.py up $(LAB_HOSTS) --sriov

lab-systemd: packages ## the same and two hosts that systemd boots: one with systemd-networkd, one with NetworkManager
	@$(SUDO) tests/lab/debian13.sh $(CURDIR)/.cache/debian13
	@$(SUDO) tests/lab/lab.py up $(LAB_HOSTS) --systemd

lab-down: ## remove every trace of the lab
	@$(SUDO) tests/lab/lab.py down

lab-hairpin: ## HOST=kvm1 STATE=on|off: let the switch reflect frames at that host's port
	@$(SUDO) tests/lab/lab.py hairpin $(HOST) $(STATE)

packages:
	@$(SUDO) tests/lab/packages.sh

.venv/ansible: | $(COLLECTIONS)/ansible_collections/kvm/hostnet
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet 'ansible-core>=2.18'
	@touch $@

.venv/tests: .venv/ansible tests/requirements.txt
	.venv/bin/pip install --quiet -r tests/requirements.txt
	@touch $@

.venv/docs: .venv/ansible docs/site/requirements.txt
	.venv/bin/pip install --quiet -r docs/site/requirements.txt
	@touch $@

.venv/release: .venv/ansible release/requirements.txt
	.venv/bin/pip install --quiet -r release/requirements.txt
	@touch $@

.venv/bench: .venv/ansible tests/bench/requirements.txt
	.venv/bin/pip install --quiet -r tests/bench/requirements.txt
	@touch $@

$(COLLECTIONS)/ansible_collections/kvm/hostnet:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR) $@

clean: lab-down ## remove what was installed and built here
	rm -rf --one-file-system .venv .cache .ansible .hypothesis .mypy_cache .ruff_cache dist tests/output
