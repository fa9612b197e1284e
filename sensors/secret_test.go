package sensors

import (
	"fmt"
	"strings"
	"testing"
)

func TestSecretsAreHidden(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"1751971390,451.2", "1751971390,451.2"},
		{`{"user": "x", "password": "p,\"w} d", "v": 1}`, `{"user": "x", "password": (hidden), "v": 1}`},
		{`{"token":"cut in the mid`, `{"token":(hidden)`},
		{"api-key=abc&x=1", "api-key=(hidden)&x=1"},
		{"Authorization: Bearer abc.def, t=3", "Authorization: (hidden), t=3"},
		{`password=a"b v=1`, `password=(hidden) v=1`},
	} {
		if got := HideSecrets(c.text); got != c.want {
			t.Errorf("%q is told as %q, want %q", c.text, got, c.want)
		}
	}
}

// What is told of a message that cannot be read, or only in part, holds its secrets no more than what is shown of all
// messages: not in the reason either, where a decoder quotes the message.
func TestRejectionsHoldNoSecrets(t *testing.T) {
	for _, raw := range []string{
		`{"user": "kiln", "password": "open sesame", "v": 1`,
		`{"password": "say \"open sesame\" loud", "v": x}`,
		`temperature=471.2 token="open sesame`,
		strings.Repeat("x", 390) + ` secret: "open sesame"`,
	} {
		var h Health
		var got events
		for _, why := range []error{fmt.Errorf("sentence %.80q has no checksum", raw), fmt.Errorf("%s: it ends early", raw)} {
			h.Reject(&got, "kiln", 0, []byte(raw), why)
			h.RejectKnown([]byte(raw), why)
			(&Doubts{}).Tell(&got, "kiln", 0, []byte(raw), why)
			told := append(events{{Text: h.Snapshot().LastBad}}, got...)
			for _, e := range told {
				if strings.Contains(e.Text, "sesame") || !strings.Contains(e.Text, "(hidden)") && len(raw) < 100 {
					t.Errorf("of %s is told: %s", raw, e.Text)
				}
			}
		}
	}
}

func FuzzHideSecrets(f *testing.F) {
	f.Add("sesame")
	f.Add(`a\"b`)
	f.Fuzz(func(t *testing.T, secret string) {
		once := fmt.Sprintf("{%q: %q}", "password", secret)
		if told := HideSecrets(once); told != `{"password": (hidden)}` {
			t.Errorf("%s is told as %s", once, told)
		}
		twice := fmt.Sprintf("%q", once)
		rest, ok := strings.CutPrefix(HideSecrets(twice), `"{\"password\": (hidden)`)
		if !ok || strings.Trim(rest, `}"`) != "" {
			t.Errorf("%s is told with %s", twice, rest)
		}
	})
}
