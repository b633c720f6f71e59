package home

import _ "embed"

// Schema is schema.json: the output line as a JSON Schema, for constrained
// decoding. Its strings are enumerations and patterns made of alternatives,
// character classes, groups and repetition, anchored at both ends. What passes
// it may still fail Check, which knows what each device can do.
//
//go:embed schema.json
var Schema []byte
