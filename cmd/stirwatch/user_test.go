package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/config"
)

// Users are made, listed and taken away; what is wrong is said with the way out.
func TestUser(t *testing.T) {
	dir := t.TempDir()
	user := func(input string, args ...string) (int, string, string) {
		c := plain(t, append([]string{"user"}, args...)...)
		c.Stdin = strings.NewReader(input)
		return ran(t, c, dir)
	}
	text := string(config.Example(""))
	write := func(more string) {
		if err := os.WriteFile(filepath.Join(dir, "agent.yaml"), []byte(text+more), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if code, _, errOut := user("", "list"); code != exitFailure || !strings.Contains(errOut, "page: {listen: 127.0.0.1:8765}") {
		t.Errorf("without a page: %d %s", code, errOut)
	}
	write("\npage: {listen: 0.0.0.0:8765}\n")
	if code, out, errOut := command(t, dir, "config", "check"); code == 0 || !strings.Contains(errOut, "stirwatch user add") {
		t.Errorf("a page for the network without users: %d %s%s", code, out, errOut)
	}
	if code, _, errOut := user("short\n", "add", "anna"); code != exitFailure || !strings.Contains(errOut, "too short") {
		t.Errorf("a short password: %d %s", code, errOut)
	}
	if code, _, errOut := user("", "add", "anna", "--role", "king"); code != exitUsage || !strings.Contains(errOut, "use one of viewer, operator, engineer") {
		t.Errorf("a role that there is not: %d %s", code, errOut)
	}
	if code, out, errOut := user("correct horse\n", "add", "anna", "--role", "engineer"); code != 0 || !strings.Contains(out, "It is the first") {
		t.Errorf("add: %d %s%s", code, out, errOut)
	}
	code, token, errOut := user("", "token", "prometheus")
	if code != 0 || len(strings.TrimSpace(token)) != 43 {
		t.Errorf("token: %d %q %s", code, token, errOut)
	}
	if code, out, errOut := command(t, dir, "config", "check"); code != 0 {
		t.Errorf("a page for the network with users: %d %s%s", code, out, errOut)
	}
	if _, out, _ := user("", "list"); !strings.Contains(out, "anna        engineer  password") || !strings.Contains(out, "prometheus  viewer    token") {
		t.Errorf("list:\n%s", out)
	}
	if code, _, errOut := user("another horse\n", "password", "anna"); code != 0 {
		t.Errorf("password: %d %s", code, errOut)
	}
	if code, _, errOut := user("", "remove", "eva"); code != exitFailure || !strings.Contains(errOut, "no user eva") {
		t.Errorf("remove: %d %s", code, errOut)
	}
}
