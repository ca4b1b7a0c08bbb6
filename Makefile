# Every target is a no-op when its result is complete, and goes on when it was interrupted.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
# A file's tests stay together, as they share what they train; the longest files come first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10
PIP    := $(BIN)/python -m pip install -qq -c constraints.txt --no-compile  # Python compiles what it imports
ROOMS  := core video embedding training export serving client

DATA       ?= data/figures
RUN        ?= runs/default
REPOSITORY ?= model_repository
PRETRAINED ?= pretrained/figures-tiny
PEOPLE     := data/people
# Views teach each other on calm videos; then each network learns by the labels that the generator knows. From varied
# videos without labels they learn who stands where and how the camera shakes, more than what is done
# (docs/results/packed.md).
PEOPLE_RECIPE := training.epochs=0 training.held_out_share=0 classifier.mode=finetune \
	classifier.head=mean classifier.epochs=20 classifier.label_smoothing=0.1
PEOPLE_TRAIN   = $(BIN)/cocon train --preset people --threads 1 --set flow.size_px=96

GRPC_PORT    ?= 8001
METRICS_PORT ?= 8002
PORTS        := --grpc-port $(GRPC_PORT) --metrics-port $(METRICS_PORT)

.PHONY: help setup data train export serve stop demo test test-all test-fast test-videos browser promtool tracer format lint types bench results results-methods results-tasks results-utd results-real results-labels results-int8 disturbed-jobs durability hostile robustness scale soak pretrained pretrained-tiny clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv and install everything into it

# Without the estimator of pose and mask, and the tools of tests: a third less to download.
$(VENV)/.installed-demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=24" "setuptools>=77"
	$(PIP) --no-build-isolation -e ".[client,training,serving]"
	@touch $@

$(READY): $(VENV)/.installed-demo
	$(PIP) --no-build-isolation -e ".[all]"
	@# MediaPipe requires the OpenCV build that needs libGL, and both write the same folder: put the headless files back.
	$(PIP) --force-reinstall --no-deps opencv-contrib-python-headless
	@mkdir -p build/typing/cocon  # mypy and pyright do not see an editable install
	@for room in $(ROOMS); do ln -sfn ../../../$$room build/typing/cocon/$$room; done
	@touch $(READY)

data: setup ## Generate the figure videos
	$(BIN)/cocon data make --output $(DATA)

train: data ## Train encoders of four views, and their classifiers
	$(BIN)/cocon train --preset demo --data $(DATA) --output $(RUN)

export: train ## Write the Triton model repository, through the parity gates
	$(BIN)/cocon export --run $(RUN) --repository $(REPOSITORY)

serve: export ## Start Triton in the background on 127.0.0.1:8001 (GRPC_PORT)
	$(BIN)/cocon serve $(REPOSITORY) --detach $(PORTS)

stop: ## Stop it
	@if [ -x $(BIN)/cocon ]; then $(BIN)/cocon serve --stop --grpc-port $(GRPC_PORT); fi

demo: $(VENV)/.installed-demo ## The packed encoders on a real Triton: classify, index, search, a page of hits (3 minutes)
	@GRPC_PORT=$(GRPC_PORT) METRICS_PORT=$(METRICS_PORT) \
		PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: browser promtool setup ## Run the tests, two at a time (15 minutes on two cores, installation included)
	$(PYTEST) -m "not slow and not real_videos"

test-all: browser promtool tracer setup ## The same, the slowest proofs (repeated kills, hundreds of damaged files), and coverage
	$(PYTEST) -m "not real_videos" --cov --cov-report=term:skip-covered --cov-fail-under=80

test-fast: promtool setup ## Only what is quick (a minute and a half): no training, no videos, no server, no browser
	$(PYTEST) -m "not slow and not training and not videos and not triton and not browser and not real_videos"

browser: # Chromium for the tests that open pages; installed where that is allowed
	@.ci/browser

promtool: # for the tests of Prometheus's rules
	@command -v promtool >/dev/null || .ci/apt prometheus

tracer: # strace for the test of what decoders open
	@command -v strace >/dev/null || .ci/apt strace

test-videos: setup ## Run the tests on real videos, in the folder that COCON_TEST_VIDEOS names
	@test -f "$$COCON_TEST_VIDEOS/expected.csv" || { \
		echo "error: COCON_TEST_VIDEOS ('$$COCON_TEST_VIDEOS') must name a folder with expected.csv; run: make test-videos COCON_TEST_VIDEOS=/path" >&2; \
		exit 2; }
	$(BIN)/python -m pytest -m real_videos

format: setup ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy

bench: setup ## Measure everything, or ONLY="serving embed"; writes benchmarks/results and docs/performance.md
	$(PIP) --no-build-isolation -e ".[bench]" || echo "without OpenVINO: its figures stay as they are"
	@# NNCF tells its makers of its use, but for this.
	NNCF_CI=1 $(BIN)/python benchmarks/every.py $(ONLY) $(if $(VIDEOS),--videos $(VIDEOS))

results: data ## Train and judge the ablation's rows, three seeds each (under 45 minutes); writes docs/results
	$(BIN)/cocon reproduce ablation --data $(DATA) --preset demo --name figures --seeds 3 --no-extras \
		--set training.epochs=8 --set training.precision=bf16-mixed

results-utd: setup ## The same on UTD-MHAD, in the folder that UTD names: all rows (hours); writes docs/results
	@test -f "$(UTD)/keypoints.npz" || { \
		echo "error: UTD ('$(UTD)') must name the folder of UTD-MHAD; run: make results-utd UTD=/path" >&2; \
		exit 2; }
	test -f data/utd_mhad/manifest.csv || $(BIN)/python docs/results/utd_mhad.py --source $(UTD) --output data/utd_mhad
	$(BIN)/cocon reproduce ablation --data data/utd_mhad --preset people --name utd_mhad --seeds 3 --finetune-epochs 15
	$(BIN)/cocon reproduce methods --data data/utd_mhad --preset people --name utd_mhad --seeds 3

results-real: setup ## What encoders are worth on a labelled set, NAME=… DATA=…: every row, three seeds (hours); writes docs/results
	@test -n "$(NAME)" || { \
		echo "error: NAME must name the set in DATA ('$(DATA)'); run: make results-real NAME=utd_mhad DATA=data/utd_mhad" >&2; \
		exit 2; }
	$(BIN)/cocon reproduce real --data $(DATA) --preset people --packed pretrained/people --name $(NAME) --seeds 3

results-methods: data ## Train and judge every method, three seeds each (an hour); writes docs/results
	$(BIN)/cocon reproduce methods --data $(DATA) --preset demo --name figures --seeds 3 \
		--set training.precision=bf16-mixed

results-tasks: results ## Judge the ablation's CoCon runs by localisation and tracking; writes docs/results
	$(BIN)/cocon data make --untrimmed --output data/untrimmed
	$(BIN)/python docs/results/tasks.py --name figures runs/ablation/figures/cocon-?

results-labels: data ## Labels that are suggested against random ones; also on UTD-MHAD if UTD names it; writes docs/results
	@test -z "$(UTD)" || test -f data/utd_mhad/manifest.csv || \
		$(BIN)/python docs/results/utd_mhad.py --source $(UTD) --output data/utd_mhad
	@test -z "$(UTD)" || $(BIN)/cocon train --preset people --data data/utd_mhad --output runs/utd_mhad
	$(BIN)/python docs/results/label_suggestions.py --set figures $(DATA) $(PRETRAINED) \
		$(if $(UTD),--set utd_mhad data/utd_mhad runs/utd_mhad)

results-int8: data ## INT8 against float32, three seeds; also on UTD-MHAD if UTD names it (an hour); writes docs/results
	@test -z "$(UTD)" || test -f data/utd_mhad/manifest.csv || \
		$(BIN)/python docs/results/utd_mhad.py --source $(UTD) --output data/utd_mhad
	for seed in 0 1 2; do \
		$(BIN)/cocon train --preset demo --data $(DATA) --seed $$seed --output runs/int8/figures-$$seed || exit; \
		test -z "$(UTD)" || $(BIN)/cocon train --preset people --data data/utd_mhad --seed $$seed \
			--output runs/int8/utd_mhad-$$seed || exit; \
	done
	$(BIN)/python docs/results/int8.py --set figures runs/int8/figures-0 runs/int8/figures-1 runs/int8/figures-2 \
		$(if $(UTD),--set utd_mhad runs/int8/utd_mhad-0 runs/int8/utd_mhad-1 runs/int8/utd_mhad-2)

durability: setup ## Kill, starve, cut and damage an index (about ten minutes); writes docs/results
	$(BIN)/python docs/results/durability.py

disturbed-jobs: setup ## End workers, servers and the job while a job runs (about five minutes); writes docs/results
	$(BIN)/python docs/results/disturbed_jobs.py

robustness: setup ## Read damaged, many and long videos (about 15 minutes); writes docs/results
	SVT_LOG=0 $(BIN)/python docs/results/robustness.py

soak: setup ## Ask a supervised server at 80 % of its peak for MINUTES=30 on a quiet machine; writes benchmarks/results
	$(BIN)/python benchmarks/soak.py --minutes $(or $(MINUTES),30)

hostile: setup ## Send a server thousands of malformed requests (ten minutes); writes docs/results
	$(BIN)/cocon export --run $(PRETRAINED) --repository runs/hostile --video
	SVT_LOG=0 $(BIN)/python docs/results/hostile.py --repository runs/hostile

scale: setup ## Fill indexes with 0.1, 1, 3 and 10 million made-up clips (half an hour, 10 GB of disk); writes docs/results
	$(BIN)/python docs/results/scale.py

# Calm videos and such as strangers film, all with flow as it is estimated from what they show.
$(PEOPLE)/manifest.csv: | setup
	$(BIN)/cocon data make --output data/calm
	$(BIN)/cocon views make data/calm --view flow --flow-size-px 96 --overwrite
	$(BIN)/cocon data make --for transfer --videos 2400 --seconds 4 --view-size 96 --output data/street
	rm -rf $(PEOPLE) && mkdir -p $(PEOPLE)
	for set in calm street; do cp -alf data/$$set/videos data/$$set/views $(PEOPLE); done
	echo '{"generator": "street and calm figures"}' > $(PEOPLE)/generator.json
	{ cat data/calm/manifest.csv; tail -n +2 data/street/manifest.csv; } > $(PEOPLE)/manifest.partial
	mv $(PEOPLE)/manifest.partial $@

pretrained: $(PEOPLE)/manifest.csv ## Train encoders of people on generated videos (an hour and a half of one core), judge them, and pack them into pretrained/people
	$(PEOPLE_TRAIN) --data data/calm --set classifier.head=none --set training.steps=750 --output runs/people-start
	$(PEOPLE_TRAIN) --data $(PEOPLE) $(PEOPLE_RECIPE:%=--set %) --output runs/people-rgb \
		--set 'views=["rgb"]' --init-from runs/people-start
	$(PEOPLE_TRAIN) --data $(PEOPLE) $(PEOPLE_RECIPE:%=--set %) --output runs/people-bodies \
		--set 'views=["pose","mask"]' --init-from runs/people-start
	$(PEOPLE_TRAIN) --data $(PEOPLE) $(PEOPLE_RECIPE:%=--set %) --output runs/people-flow \
		--set 'views=["flow"]' --set model.width=32
	$(PEOPLE_TRAIN) --data $(PEOPLE) --output runs/people \
		--set training.epochs=0 --set training.held_out_share=0 --set classifier.head=none \
		--init-from rgb=runs/people-rgb --init-from flow=runs/people-flow \
		--init-from pose=runs/people-bodies --init-from mask=runs/people-bodies
	test runs/people-pooled/complete.json -nt runs/people/complete.json || \
		$(BIN)/cocon pool runs/people --output runs/people-pooled --overwrite \
		--pooling thirds --pooling flow=mean --cells 2
	$(call packed,runs/people-pooled,pretrained/people)

pretrained-tiny: train ## Judge the encoders of make train, and pack them into pretrained/figures-tiny
	$(call packed,$(RUN),pretrained/figures-tiny)

define packed
	test $(1)/evaluation.json -nt $(1)/complete.json || { \
		$(BIN)/cocon evaluate $(1) --json > $(1)/evaluation.json.partial && \
		mv $(1)/evaluation.json.partial $(1)/evaluation.json; }
	$(BIN)/cocon pack --run $(1) --output $(2) --license apache-2.0 --overwrite
endef

clean: stop ## Remove everything that was generated, and .venv
	rm -rf build dist runs data/figures data/calm data/demo data/people data/street data/untrimmed index failures.jsonl .coverage* .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find $(REPOSITORY) -mindepth 1 ! -path $(REPOSITORY)/README.md -delete 2>/dev/null || true
	rm -rf $(VENV)
