package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Load reads the model document at path.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return m, nil
}

// maxDocument bounds what Read takes in.
const maxDocument = 4 << 20

// Read reads and checks a model document. Unknown fields, units or symbols, another version, and
// numbers that cannot be, are errors; all that are found are reported together.
func Read(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("document is larger than %d bytes", maxDocument)
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("not a model document: %w", err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("format is %q, not %q: is this a model document?", head.Format, Format)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("version is %d, this program reads version %d: make it anew from its runs with `stirwatch learn`, or use the program that wrote it", head.Version, Version)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	m := new(Model)
	if err := d.Decode(m); err != nil {
		if strings.Contains(err.Error(), "unknown field") {
			err = fmt.Errorf("%w: did a newer program write it? Use that one, or make it anew from its runs with `stirwatch learn`", err)
		}
		return nil, err
	}
	return m, m.Check()
}

// Save writes the document to path; a reader sees the old one or the new one, never a part.
func (m *Model) Save(path string) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

// Leading counts how many paths from the first on are model documents, as far as their beginning tells.
func Leading(paths []string) int {
	for i, path := range paths {
		if !begins(path) {
			return i
		}
	}
	return len(paths)
}

// begins reports whether a file begins as a JSON document; one that is not there does if its name says so.
func begins(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return strings.HasSuffix(path, ".json")
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(strings.TrimSpace(string(head[:n])), "{")
}
