// Package jsonschema turns a JSON Schema into a grammar whose words are JSON
// texts that satisfy it.
//
// Not every text that satisfies a schema is a word. Properties come in the schema's
// order; there is no white space outside of strings, unless Options ask for some;
// properties that the schema does not name are left out where it lets them be.
// What a schema demands and this package cannot is an [Error] with the JSON pointer
// of the keyword, never left out in silence. docs/json-schema.md lists the
// keywords.
package jsonschema
