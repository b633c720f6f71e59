# What build/home-scores.sh and build/home-smaller.sh have in common: sourced by them in the repository's root, with their
# FOLDER (out/home by default).
out=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${out:-$PWD/out/home}
schema=$PWD/runtime/home/schema.json page=$PWD/docs/default-model.md
ledge() { "$out/bin/ledge" "$@"; }

# ask TITLE MODELS FLAGS: the tables of ledge eval; of several models the first table, which has all of them.
ask() {
  local title=$1 names=$2 models=() m
  for m in $names; do models+=(-m "$m.gguf"); done
  shift 2
  printf '\n%s\n\n' "$title"
  ledge eval "${models[@]}" --raw -n 120 --parallel 8 -q "$@" | grep -v '^energy n/a' | awk -v several="$((${#models[@]} > 2))" '!NF && several {skip = 1} !skip'
}

# publish SCRIPT FILE: FILE between the page's marks of SCRIPT.
publish() {
  local begin="<!-- written by $1 -->" end="<!-- end of $1 -->"
  grep -qxF "$begin" "$page" && grep -qxF "$end" "$page" || { echo "$1: $page has no lines '$begin' and '$end'" >&2; return 1; }
  awk -v begin="$begin" -v end="$end" -v file="$2" '
    $0 == begin {print; while ((getline line < file) > 0) print line; skip = 1}
    $0 == end {skip = 0}
    !skip {print}' "$page" > "$out/page.md"
  cat "$out/page.md" > "$page"
}
