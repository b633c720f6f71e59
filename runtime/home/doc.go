// Package home is the language of household commands that Ledge's default model
// speaks: what it is asked in Chinese or English becomes one line of JSON,
//
//	{"intent":"set","device":"light","room":"bedroom","value":"40%","reply":"Bedroom light at 40%."}
//
// schema.md says which line belongs to which sentence, schema.json is the line
// as a JSON Schema for constrained decoding, and this package reads, checks and
// writes such lines. It knows neither models nor files.
package home
