# To be sourced by the scripts in this folder: how programs and library are compiled and linked, whoever builds them.
build=(-trimpath) # no folder's name
release=$(build/version.sh 2>/dev/null) || release=
# No symbols. An identification that follows from the file's bytes, where Go's follows from how they came about.
link="-s -w -buildid= ${release:+-X github.com/ledge-run/ledge/cmd/internal/console.release=$release -X main.release=$release}" # programs, library
extlink="-Wl,--strip-all -Wl,--build-id=sha1"
# Programs have 20 MB: what waits for the network, for a person or for one file a run is as fast without inlining.
cold=()
for package in net/... crypto/... vendor/... encoding/asn1 encoding/pem mime/... archive/... image/... math/big regexp/syntax encoding/csv golang.org/x/image/... github.com/urfave/... \
  go.yaml.in/... github.com/ledge-run/ledge/{cmd/...,runtime/hub,runtime/power/...,runtime/chat/...,runtime/bench/...,backend/trust,backend/quirks} \
  github.com/ledge-run/ledge/{backend/nvml/...,runtime/train/recipe,runtime/train/run,runtime/compress/{prune,delta,merge},runtime/home,runtime/jsonfault,runtime/eval}; do
  cold+=("-gcflags=$package=-l")
done
