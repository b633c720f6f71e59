#!/usr/bin/env bash
# The version that packages have and `ledge version` shows, from git: 1.2.3 at the tag v1.2.3; after it, and before any,
# with the date and name of the revision: 1.2.3+git20261126213303.0a901c6f, which later ones are greater than.
# Local changes add .dirty.
#   build/version.sh          the version
#   build/version.sh date     seconds since 1970 of the revision: SOURCE_DATE_EPOCH
# In a source tree without git LEDGE_VERSION and SOURCE_DATE_EPOCH say both.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = date ]; then
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then echo "$SOURCE_DATE_EPOCH"; exit; fi
  git log -1 --format=%ct 2>/dev/null || { echo "build/version.sh: no git here: set SOURCE_DATE_EPOCH" >&2; exit 1; }
  exit
fi
if [ -n "${LEDGE_VERSION:-}" ]; then echo "$LEDGE_VERSION"; exit; fi
revision=$(git rev-parse HEAD 2>/dev/null | cut -c1-8) || { echo "build/version.sh: no git here: set LEDGE_VERSION" >&2; exit 1; }
tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) || tag=v0.0.0
version=${tag#v}
if [ "$(git rev-parse -q --verify "refs/tags/$tag^{commit}" || true)" != "$(git rev-parse HEAD)" ]; then
  version+=+git$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd).$revision
fi
if [ -n "$(git status --porcelain)" ]; then version+=.dirty; fi
echo "$version"
