// Package hub turns a model's name into a file on this machine: it knows the
// catalogue of short names, asks the Hugging Face hub and ModelScope what a
// repository holds, downloads, verifies and keeps the files.
//
// A name is one of
//
//	./model.gguf, model-00001-of-00003.gguf   a file (the first of split files)
//	smollm2:135m, smollm2:135m-q8_0           a catalogue alias, see Catalog
//	hf:owner/repo[@revision][:file or quant]  a repository of the Hugging Face hub
//	ms:owner/repo[@revision][:file or quant]  a repository of ModelScope
//	https://host/path/model.gguf              any http(s) address
//
// Resolve answers from the disk alone; Pull downloads what is missing. A
// download goes to FILE.part in the model's own folder, resumes after an
// interruption (where no sha256 is known, with what is on the disk for sure), is
// checked against its sha256 where one is known, and takes its
// final name by an atomic rename; the folder's manifest.json is written last, so
// a model that has one is whole.
//
// Environment (each can be set in Config instead):
//
//	LEDGE_MODELS         folder of the models; default ledge/models in the user's data folder
//	HF_ENDPOINT          address of the Hugging Face hub or of a mirror
//	HF_TOKEN             token for gated and private repositories, sent to HF_ENDPOINT's host only
//	MODELSCOPE_DOMAIN    host or address of ModelScope
//	MODELSCOPE_API_TOKEN token for ModelScope, sent to that host only
//
// The package prints nothing: what it has to say goes to Options.Log and
// Options.Progress. Every error is one line.
package hub
