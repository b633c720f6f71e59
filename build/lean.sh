# To be sourced, in the root of the source: makes out/lean, where go.mod has a copy of urfave/cli in place of the module. Programs that
# are built with -modfile "$lean/go.mod" have no text/template: that finds methods by their names, and with it in a program
# the linker keeps every exported method of every type, 1.7 MB of 20. The programs print help by themselves (cmd/internal/console),
# so it is the same. Of the copy all but one function is what go.sum has, and Go writes into a program that it was replaced.
# (Go has -overlay for changing a file, and refuses it in the module cache.)
lean=out/lean

lean_prepare() {
  local module=github.com/urfave/cli/v2 version=v2.27.7 want=bdcce5a0c4edd4016ba71470666ff9a0309dce6def8268e078eb18973872c1b9 # SHA-256 of its help.go
  local has= from= file new=$lean.$$
  go mod download "$module" # which checks go.sum
  read -r has from < <(go list -m -f '{{.Version}} {{.Dir}}' "$module") || true
  if [ "$has" != "$version" ] || [ "$(sha256sum <"$from/help.go")" != "$want  -" ]; then
    echo "build/lean.sh: $module $has is not the $version whose help.go is known here: look at its printHelpCustom, then set version and want" >&2
    return 1
  fi
  rm -rf "$new"
  mkdir -p "$new/cli"
  for file in "$from"/*.go "$from/LICENSE" "$from/go.mod"; do
    case "$file" in *_test.go) ;; *) install -m 644 "$file" "$new/cli/" ;; esac
  done
  awk '
    /^\t"text\/(template|tabwriter)"$/ { cut++; next }
    /^func printHelpCustom\(/ { cut++; print; print "\tpanic(\"cli: there are no templates in this program: set cli.HelpPrinter\")"; skip = 1; next }
    skip && /^}$/ { skip = 0 }
    !skip { print }
    END { exit cut != 3 || skip }
  ' "$from/help.go" >"$new/cli/help.go" || { echo "build/lean.sh: $from/help.go has no printHelpCustom to replace" >&2; return 1; }
  cp go.mod go.sum "$new/"
  printf '\nreplace %s => ./%s/cli\n' "$module" "$lean" >>"$new/go.mod"
  if diff -rq "$new" "$lean" >/dev/null 2>&1; then rm -rf "$new"; return; fi # another build may be reading it
  rm -rf "$lean"
  mv "$new" "$lean"
}
lean_prepare
