package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed backlog.yaml.tmpl
var manifest string

// errVersion is a tag that Krew does not take.
var errVersion = errors.New("want the tag of a release, such as v1.2.3 or v1.2.3-rc.1")

var tag = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// An archive is the plugin for one platform.
type archive struct {
	OS, Arch string
	// Name is that of the file, and SHA256 its digest in hexadecimal digits.
	Name, SHA256 string
	// Program is the file in it that is started.
	Program string
}

// find returns the archives of a version in a folder, one for each platform.
func find(dir, version string) ([]archive, error) {
	if !tag.MatchString(version) {
		return nil, fmt.Errorf("use the version %q: %w", version, errVersion)
	}
	var all []archive
	for _, system := range []string{"darwin", "linux", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			a := archive{OS: system, Arch: arch, Name: archiveName(version, system, arch), Program: "kubectl-backlog"}
			if system == "windows" {
				a.Program += ".exe"
			}
			if err := a.read(filepath.Join(dir, a.Name)); err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// archiveName is the name that .goreleaser.yaml gives an archive.
func archiveName(version, system, arch string) string {
	extension := "tar.gz"
	if system == "windows" {
		extension = "zip"
	}
	return fmt.Sprintf("kubectl-backlog_%s_%s_%s.%s", strings.TrimPrefix(version, "v"), system, arch, extension)
}

// read reads the digest of an archive, and wants the program and the licence in it, which Krew needs.
func (a *archive) read(path string) error {
	data, err := os.ReadFile(path) //nolint:gosec // the caller names it
	if err != nil {
		return fmt.Errorf("read an archive: %w", err)
	}
	digest := sha256.Sum256(data)
	a.SHA256 = hex.EncodeToString(digest[:])
	list := tarred
	if strings.HasSuffix(a.Name, ".zip") {
		list = zipped
	}
	files, err := list(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", a.Name, err)
	}
	for _, wanted := range []string{a.Program, "LICENSE"} {
		if !slices.Contains(files, wanted) {
			return fmt.Errorf("read %s: there is no %s in it, only %q", a.Name, wanted, files)
		}
	}
	return nil
}

// tarred lists the files of a compressed tar.
func tarred(data []byte) ([]string, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var files []string
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return files, nil
		case err != nil:
			return nil, err
		}
		files = append(files, header.Name)
	}
}

// zipped lists the files of a zip.
func zipped(data []byte) ([]string, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, file := range r.File {
		files = append(files, file.Name)
	}
	return files, nil
}

// write writes the manifest.
func write(w io.Writer, version string, archives []archive) error {
	parsed, err := template.New("backlog.yaml").Parse(manifest)
	if err != nil {
		return fmt.Errorf("parse the template: %w", err)
	}
	return parsed.Execute(w, struct {
		Version  string
		Archives []archive
	}{version, archives})
}
