package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/jsonfault"
)

// config is the user's configuration file.
type config struct {
	Model   string `json:"model"`   // of commands that name none
	Device  string `json:"device"`  // like --device
	Threads int    `json:"threads"` // like -t
	Offline bool   `json:"offline"` // like --offline
}

const (
	maxConfig  = 64 << 10
	maxThreads = 1024
)

// configValues are what the keys take.
var configValues = map[string]string{
	"model":   `a text, such as "qwen3:0.6b"`,
	"device":  `a text, such as "cpu"`,
	"threads": "a whole number, 0 for automatic",
	"offline": "true or false",
}

// configFault says what is wrong with a configuration, without the words of the parser's
// author for it.
func configFault(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		is := jsonfault.Value(kind.Value)
		if kind.Field == "" {
			return fmt.Errorf(`it is %s: it must be an object, such as {"model": "qwen3:0.6b"}`, is)
		}
		return fmt.Errorf("%q is %s: it must be %s", kind.Field, is, configValues[kind.Field])
	case errors.As(err, &syntax):
		return fmt.Errorf("it is no JSON: byte %d: %w", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is no JSON: it ends too early")
	case err != nil:
		if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			keys := slices.Sorted(maps.Keys(configValues))
			return fmt.Errorf("unknown key %s%s; there are %s", key, suggest(strings.Trim(key, `"`), keys), strings.Join(keys, ", "))
		}
	}
	return err
}

// ofConfig is an error about a model that is not there, with the file that names the model
// if nothing else does.
func (a *app) ofConfig(c *cli.Context, err error) error {
	var missing modelError
	if !errors.As(err, &missing) || c.String("model") != "" || a.getenv("LEDGE_MODEL") != "" {
		return err
	}
	if cfg, cerr := a.readConfig(); cerr != nil || cfg.Model == "" {
		return err
	}
	return modelError{fmt.Errorf(`configuration %s: "model": %w`, a.configPath(), err)}
}

// configPath is where the configuration is; "" if there is no home folder.
func (a *app) configPath() string {
	dir := a.userDir("XDG_CONFIG_HOME", ".config", "AppData/Roaming", "Library/Application Support")
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "ledge", "config.json")
}

// userDir is a folder for the user's files as the XDG base directory
// specification has it, or its like on Windows and macOS; "" if unknown.
func (a *app) userDir(env, unix, windows, darwin string) string {
	if dir := a.getenv(env); filepath.IsAbs(dir) {
		return dir
	}
	home, sub := a.getenv("HOME"), unix
	switch runtime.GOOS {
	case "windows":
		home, sub = a.getenv("USERPROFILE"), windows
	case "darwin", "ios":
		sub = darwin
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, filepath.FromSlash(sub))
}

// shut reports whether nobody can tell if there is a configuration, for a folder above it
// may not be entered, such as a home of another user's: that is no reason to do nothing at
// all. It is where nothing names the folder; a note says so, once.
func (a *app) shut(path string) bool {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrPermission) || filepath.IsAbs(a.getenv("XDG_CONFIG_HOME")) {
		return false
	}
	if !a.shutTold {
		a.shutTold = true
		a.note("note: no configuration is read, for %s cannot be reached; XDG_CONFIG_HOME names another folder", path)
	}
	return true
}

// readConfig reads the configuration, and LEDGE_OFFLINE, which says as much as a key of it.
func (a *app) readConfig() (config, error) {
	c, err := a.readConfigFile()
	if err != nil {
		return c, err
	}
	switch value := a.getenv("LEDGE_OFFLINE"); strings.ToLower(strings.TrimSpace(value)) {
	case "", "0", "off", "false", "no":
	case "1", "on", "true", "yes":
		c.Offline = true
	default: // who set it would not want a download for a slip of the finger
		return c, usagef("LEDGE_OFFLINE=%s: it must be 1 to download nothing, or 0", value)
	}
	return c, nil
}

// readConfigFile reads the configuration; a file that is not there is an empty one.
func (a *app) readConfigFile() (config, error) {
	var c config
	path := a.configPath()
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return c, nil
	case errors.Is(err, fs.ErrPermission) && a.shut(path):
		return c, nil
	case err != nil:
		return c, fmt.Errorf("configuration: %w: make it readable, or name another folder in XDG_CONFIG_HOME", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err = configFault(d.Decode(&c)); err == nil && d.More() {
			err = errors.New("there is something after the object")
		}
	}
	if err == nil && (c.Threads < 0 || c.Threads > maxThreads) {
		err = fmt.Errorf(`"threads" is %d: it must be 0 (automatic) to %d`, c.Threads, maxThreads)
	}
	if err != nil {
		return c, fmt.Errorf("configuration %s: %w: mend or remove the file", path, err)
	}
	return c, nil
}
