# Thin: what each target does is in scripts/.
.PHONY: demo build test install format clean

demo:        ## install what is needed, build, and show the main job on real data
	@scripts/demo.sh

build:       ## the release build, .build/release/tarn
	@scripts/build.sh

test:        ## install what the tests need, build, and run everything
	@scripts/test.sh

install: build
	install -D -m 755 .build/release/tarn $(DESTDIR)$(or $(PREFIX),/usr/local)/bin/tarn

format:      ## format the sources in place
	swift format -i -r Package.swift Sources Tests

clean:
	rm -rf .build .venv .venv-programs
