package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// pluginFile is the name of the program, by which kubectl finds it.
const pluginFile = "kubectl-backlog"

// completionCommand has the commands for the completion of words.
type completionCommand struct {
	Install completionInstallCommand `cmd:"" help:"Install the script by which kubectl completes the words of this plugin."`
	Print   completionPrintCommand   `cmd:"" help:"Print that script."`
}

// script returns the name and the text of the script that kubectl starts, from version 1.26 on. The name is that of the
// plugin: https://github.com/kubernetes/kubernetes/pull/105867
func script(system string) (name, text string) {
	if system == "windows" {
		return "kubectl_complete-backlog.cmd", "@" + pluginFile + " " + completeCommand + " %*\r\n"
	}
	return "kubectl_complete-backlog", "#!/bin/sh\nexec " + pluginFile + " " + completeCommand + " \"$@\"\n"
}

// completionPrintCommand prints the script.
type completionPrintCommand struct{}

// Run prints the script.
func (completionPrintCommand) Run(stdout io.Writer) error {
	_, text := script(runtime.GOOS)
	_, err := io.WriteString(stdout, text)
	return err
}

// completionInstallCommand installs the script.
type completionInstallCommand struct {
	Dir string `type:"path" placeholder:"FOLDER" help:"Folder of the PATH to write the script to; that of the plugin without it."`
}

// Run writes the script, and prints its path. A file that is no such script stays.
func (c *completionInstallCommand) Run(stdout io.Writer) error {
	dir := c.Dir
	if dir == "" {
		// The one in the PATH, which for Krew is a link into its store.
		program, err := exec.LookPath(pluginFile)
		if err != nil {
			return fmt.Errorf("find %s in the PATH: %w; --dir names a folder of the PATH", pluginFile, err)
		}
		dir = filepath.Dir(program)
	}
	name, text := script(runtime.GOOS)
	path := filepath.Join(dir, name)
	switch before, err := os.ReadFile(path); { //nolint:gosec // the user names it
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("install the completion: %w", err)
	case !bytes.Contains(before, []byte(pluginFile+" "+completeCommand)):
		return fmt.Errorf("install the completion: %s is there, and is not that of %s; remove it or name another folder by --dir", path, pluginFile)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // a program for all users
		return fmt.Errorf("install the completion: %w; --dir names another folder of the PATH", err)
	}
	_, err := fmt.Fprintln(stdout, path)
	return err
}
