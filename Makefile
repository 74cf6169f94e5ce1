# Thin: what each target does is in scripts/.
.PHONY: demo build test bench install format clean

demo:        ## install what is needed, build, and show the main job on real data
	@scripts/demo.sh

build:       ## the release build, .build/release/tarn
	@scripts/build.sh

test:        ## install what the tests need, build, and run everything
	@scripts/test.sh

bench:       ## install peers, and measure against them (an hour; SMOKE=--smoke for minutes)
	@scripts/bench.sh $(SMOKE)

install: build
	install -D -m 755 .build/release/tarn $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/tarn

format:      ## format the sources in place
	swift format -i -r Package.swift Sources Tests

clean:
	rm -rf .build .venv .venv-programs .venv-bench .venv-dvc
