package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// config is the user's configuration file.
type config struct {
	Model   string `json:"model"`   // of commands that name none
	Device  string `json:"device"`  // like --device
	Threads int    `json:"threads"` // like -t
	Offline bool   `json:"offline"` // like --offline
}

const maxConfig = 64 << 10

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

// readConfig reads the configuration; a file that is not there is an empty one.
func (a *app) readConfig() (config, error) {
	var c config
	path := a.configPath()
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err = d.Decode(&c); err == nil && d.More() {
			err = errors.New("there is something after the object")
		}
	}
	if err != nil {
		return c, fmt.Errorf("configuration %s: %w: mend or remove the file", path, err)
	}
	return c, nil
}
