package all

import _ "github.com/ledge-run/ledge/backend/cuda" // without -tags cuda it says that it is missing
