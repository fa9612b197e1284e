package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestGettingStarted runs docs/getting-started.md: its blocks of code, taken out of the page, one after the other in an
// empty home. A comment of one line before a block, which no reader sees, says what is done with one that is not simply
// run to its end:
//
//	<!-- walk: save FILE -->    it is written into FILE, in the folder where the walk is
//	<!-- walk: beside -->       it runs in another terminal, until the page ends
//	<!-- walk: until TEXT -->   it runs until it has printed TEXT, then comes Ctrl-C
//	<!-- walk: not here, WHY -->
//
// A quoted block after one that was run is what it prints: each line must have come, with … for anything. The broker's
// port and the link of the serial port are the test's own.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := blocksOf(string(text))
	if err != nil {
		t.Fatal(err)
	}
	mosquitto := startMosquitto(t)
	w := walk{t: t, dir: t.TempDir(), bin: t.TempDir()}
	w.home = w.dir
	w.own = strings.NewReplacer("tcp://127.0.0.1:1883", mosquitto.URL, "/tmp/thermocouple", filepath.Join(w.home, "thermocouple"))
	if err := os.Symlink(plainProgram.made(t, "go", "build"), filepath.Join(w.bin, "stirwatch")); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, b := range blocks {
		count[b.how]++
		w.take(b)
	}
	// What is not run here is counted, so that a block that stops being run is noticed.
	if count["not here"] != 6 || count[""] < 5 || count["until"] < 2 || count["shown"] < 1 {
		t.Errorf("the page has %v: blocks run to their end \"\", shown after them, not here, and so on; if that is meant, change the numbers here", count)
	}
}

// block is one block of the page.
type block struct {
	line      int
	how, what string // as in the comment before it; how is "" for one that is run to its end, "shown" for what is printed
	text      string
}

var (
	walkComment = regexp.MustCompile(`^<!-- walk: (save|beside|until|not here),? ?(.*?) ?-->$`)
	anything    = strings.NewReplacer(regexp.QuoteMeta("…"), ".*")
)

// blocksOf takes the blocks out of a page.
func blocksOf(page string) (blocks []block, err error) {
	var in *block // the block that is being read
	var next block
	for i, line := range strings.Split(page, "\n") {
		quoted := strings.HasPrefix(line, "> ")
		line = strings.TrimPrefix(line, "> ")
		m := walkComment.FindStringSubmatch(line)
		switch fence := strings.HasPrefix(line, "```"); {
		case in != nil && fence:
			blocks = append(blocks, *in)
			in, next = nil, block{}
		case in != nil:
			in.text += line + "\n"
		case fence:
			if next.line = i + 1; next.how == "" && quoted {
				next.how = "shown"
			} else if next.how == "" && line != "```sh" {
				return nil, fmt.Errorf("line %d: a block of %q says not what the walk does with it: <!-- walk: … --> before it", i+1, strings.Trim(line, "`"))
			}
			in = &next
		case m != nil:
			next = block{how: m[1], what: m[2]}
		case strings.HasPrefix(line, "<!-- walk"):
			return nil, fmt.Errorf("line %d: %s is no way to walk", i+1, line)
		case line != "" && next.how != "":
			return nil, fmt.Errorf("line %d: no block follows <!-- walk: %s -->", i+1, next.how)
		}
	}
	if in != nil {
		return nil, errors.New("the last block is not closed")
	}
	return blocks, nil
}

// walk is someone who follows the page.
type walk struct {
	t              *testing.T
	home, dir, bin string // dir is where they are
	own            *strings.Replacer
	said           string // by the block before
}

func (w *walk) take(b block) {
	w.t.Helper()
	text := w.own.Replace(b.text)
	switch b.how {
	case "save":
		write(w.t, filepath.Join(w.dir, b.what), text)
	case "beside":
		w.start(b, text)
	case "until":
		p := w.start(b, text)
		p.says(b.what, 1)
		if code := p.end(syscall.SIGINT); code != 0 {
			w.t.Fatalf("line %d: ends with code %d after Ctrl-C", b.line, code)
		}
		w.said = p.said()
	case "shown":
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if !regexp.MustCompile("(?m)^" + anything.Replace(regexp.QuoteMeta(line)) + "$").MatchString(w.said) {
				w.t.Errorf("line %d: the page shows\n%s\nand what came is\n%s", b.line, line, w.said)
			}
		}
	case "":
		c := w.shell(text + "\npwd >" + filepath.Join(w.bin, "pwd"))
		out, err := c.CombinedOutput()
		if err != nil {
			w.t.Fatalf("line %d: %v\n%s\n%s", b.line, err, b.text, out)
		}
		pwd, err := os.ReadFile(filepath.Join(w.bin, "pwd"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.dir, w.said = strings.TrimSpace(string(pwd)), string(out)
		io.WriteString(w.t.Output(), b.text+w.said)
	}
}

// shell is bash in the folder where the walk is, ended by the first command that fails.
func (w *walk) shell(text string) *exec.Cmd {
	c := exec.Command("bash", "-euo", "pipefail", "-c", text)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "HOME="+w.home, "PATH="+w.bin+":"+os.Getenv("PATH"))
	return c
}

// start starts a block of one command; it ends with the test.
func (w *walk) start(b block, text string) *process {
	w.t.Helper()
	p := &process{t: w.t, name: fmt.Sprintf("line %d", b.line), cmd: w.shell("exec " + strings.TrimSpace(text))}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.run()
	return p
}
