package jsonschema

import (
	"maps"
	"slices"
	"strings"
)

const (
	// Every day that each year has: 29 February is left out.
	formatDate = `[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))`
	formatTime = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	formatByte = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
)

// formats are patterns of the formats of strings. Each gives texts that have the
// format, not all that do.
var formats = map[string]string{
	"date":      "^" + formatDate + "$",
	"time":      "^" + formatTime + "$",
	"date-time": "^" + formatDate + "T" + formatTime + "$",
	"duration":  `^P([0-9]{1,4}D|([0-9]{1,4}D)?T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))$`,
	"uuid":      `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`,
	"ipv4":      `^` + formatByte + `(\.` + formatByte + `){3}$`,
	"email":     `^[A-Za-z0-9_+-]{1,20}(\.[A-Za-z0-9_+-]{1,20}){0,2}@([a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?\.){1,3}[a-z]{2,10}$`,
}

func formatNames() string { return strings.Join(slices.Sorted(maps.Keys(formats)), ", ") }
