package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"stirwatch/dynamics/gcode"
)

// Load reads the program in a file, with [DefaultAxes].
func Load(path string) (*Program, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	if info.Size() > gcode.MaxBytes {
		return nil, fmt.Errorf("program %s: %d MB, the limit is %d MB", path, info.Size()>>20, gcode.MaxBytes>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	return New(filepath.Base(path), string(text), DefaultAxes)
}

// String says what a program is and what of it was not understood.
func (p *Program) String() string {
	text := fmt.Sprintf("program %s: %d blocks, lines to %d, %.0f s of moves and waits", p.Name, p.Blocks, p.Lines, p.Lasts)
	if n := len(p.Layers); n > 0 {
		text += fmt.Sprintf(", %d layers", n)
	}
	if n := len(p.Unknown); n > 0 {
		var some []string
		for _, u := range p.Unknown[:min(n, 5)] {
			some = append(some, u.String())
		}
		if text += "; not understood: " + strings.Join(some, ", "); n > 5 {
			text += fmt.Sprintf(" and %d more", n-5)
		}
	}
	return text
}
