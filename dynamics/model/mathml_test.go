package model

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"stirwatch/dynamics/expr"
)

// wellFormed reads the elements of an XML text and gives how often each is there.
func wellFormed(t *testing.T, text string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return seen
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := tok.(xml.StartElement); ok {
			seen[e.Name.Local]++
		}
	}
}

func TestMathMLHasARowForEveryTerm(t *testing.T) {
	m := DefaultHypotheses().Draft(nil)
	free := 0
	for i := range m.Terms {
		m.Terms[i].Mode = "heating & <cooling>"
		if !m.Terms[i].Fixed {
			free++
		}
	}
	text := MathML(m)
	seen := wellFormed(t, text)
	if seen["mtr"] != len(m.Terms) || seen["math"] != 1 {
		t.Errorf("%d rows for %d terms, %d elements math", seen["mtr"], len(m.Terms), seen["math"])
	}
	if n := strings.Count(text, "±"); n != free {
		t.Errorf("%d coefficients with standard errors, the model has %d", n, free)
	}
}

func TestRounded(t *testing.T) {
	for _, c := range []struct {
		v, se float64
		want  string
	}{
		{5.946e-5, 5.56e-5, "5.95 ± 5.56 e-5"}, {2e-3, 3.1e-6, "2.0000 ± 0.0031 e-3"}, {0.0159, 0.0155, "0.0159 ± 0.0155 e0"},
		{568.4, 25, "568 ± 25 e0"}, {26.47, 5.3, "26.5 ± 5.3 e0"}, {-4, 0, "−4.00 ± 0.00 e0"}, {0, 0, "0 ± 0 e0"}, {123456, 1000, "1.235 ± 0.010 e5"},
	} {
		value, stdErr, exp := Rounded(c.v, c.se)
		if got := fmt.Sprintf("%s ± %s e%d", value, stdErr, exp); got != c.want {
			t.Errorf("%g ± %g reads %s, want %s", c.v, c.se, got, c.want)
		}
	}
}

func TestMathMLOfExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"a*(b - c)":    "a ( b − c )",
		"-(a + b)":     "− ( a + b )",
		"(a/b)^2":      "( a b ) 2",
		"a - (b - c)":  "a − ( b − c )",
		"max(a, -1)":   "max ( a , − 1 )",
		"abs(a)":       "| a |",
		"sqrt(a + 1)":  "a + 1",
		"tau_g*tauB":   "τ g · τ B",
		"1e-9*Tm":      "1 · 10 − 9 · T m",
		"gate*heat^-1": "gate · heat − 1",
	} {
		out, err := expr.MathMLExpression(text)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, out)
		var words []string
		for d := xml.NewDecoder(strings.NewReader(out)); ; {
			tok, err := d.Token()
			if err != nil {
				break
			}
			if c, ok := tok.(xml.CharData); ok {
				words = append(words, string(c))
			}
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s: reads %q, want %q", text, got, want)
		}
	}
	if _, err := expr.MathMLExpression("a +"); err == nil {
		t.Error("half an expression is no error")
	}
}
