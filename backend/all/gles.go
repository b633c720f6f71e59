package all

import _ "github.com/ledge-run/ledge/backend/gles" // without -tags gles it says that it is missing
