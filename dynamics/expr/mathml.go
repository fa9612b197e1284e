package expr

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MathMLExpression typesets one expression of the language of hypotheses as a <math> element.
func MathMLExpression(text string) (string, error) {
	e, err := Parse(text)
	if err != nil {
		return "", err
	}
	return `<math xmlns="http://www.w3.org/1998/Math/MathML">` + e.MathML() + `</math>`, nil
}

// MathMLName writes a symbol as print does: one letter slanted, a word upright, an index below.
func MathMLName(name string) string {
	if i := strings.IndexByte(name, '_'); i > 0 && i+1 < len(name) {
		return `<msub>` + MathMLName(name[:i]) + `<mi mathvariant="normal">` + html.EscapeString(name[i+1:]) + `</mi></msub>`
	}
	if rest, ok := strings.CutPrefix(name, "tau"); ok {
		if rest == "" {
			return `<mi>τ</mi>`
		}
		return `<msub><mi>τ</mi><mi mathvariant="normal">` + html.EscapeString(rest) + `</mi></msub>`
	}
	r, size := utf8.DecodeRuneInString(name)
	switch rest := name[size:]; {
	case rest == "":
		return `<mi>` + html.EscapeString(name) + `</mi>`
	case utf8.RuneCountInString(rest) <= 2 && r >= 'A' && r <= 'Z':
		return `<msub><mi>` + string(r) + `</mi><mi mathvariant="normal">` + html.EscapeString(rest) + `</mi></msub>`
	}
	return `<mi mathvariant="normal">` + html.EscapeString(name) + `</mi>`
}

// MathMLNumber writes a number, a power of ten as such.
func MathMLNumber(v float64) string {
	if v < 0 {
		return `<mrow><mo form="prefix">−</mo>` + MathMLNumber(-v) + `</mrow>`
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if mantissa, exp, ok := strings.Cut(text, "e"); ok {
		n, _ := strconv.Atoi(exp)
		return `<mrow><mn>` + mantissa + `</mn><mo>·</mo><msup><mn>10</mn>` + MathMLNumber(float64(n)) + `</msup></mrow>`
	}
	return `<mn>` + text + `</mn>`
}

// MathMLFence puts content between brackets, which grow only around a fraction: fonts without a table for
// mathematics make too much of every other occasion.
func MathMLFence(open, content, end string) string {
	stretchy := ""
	if !strings.Contains(content, "<mfrac>") {
		stretchy = ` stretchy="false"`
	}
	return `<mrow><mo form="prefix"` + stretchy + `>` + open + `</mo>` + content + `<mo form="postfix"` + stretchy + `>` + end + `</mo></mrow>`
}

func (n *Node) mathLevel() int {
	switch n.op {
	case OpAdd, opSub:
		return 0
	case opMul:
		return 1
	case OpNeg:
		return 2
	case opPow, opDiv: // a fraction needs no brackets, but a power of one does
		return 3
	}
	return 4
}

// MathMLIn writes n, in brackets where it binds less than least.
func (n *Node) MathMLIn(least int) string {
	if n.mathLevel() < least {
		return MathMLFence("(", n.MathML(), ")")
	}
	return n.MathML()
}

// MathML writes an expression as one MathML element.
func (n *Node) MathML() string {
	switch n.op {
	case opLeaf:
		return MathMLName(n.name)
	case opConst:
		return MathMLNumber(n.val)
	case OpAdd:
		return `<mrow>` + n.a.MathMLIn(0) + `<mo form="infix">+</mo>` + n.b.MathMLIn(1) + `</mrow>`
	case opSub:
		return `<mrow>` + n.a.MathMLIn(0) + `<mo form="infix">−</mo>` + n.b.MathMLIn(1) + `</mrow>`
	case opMul:
		times := `<mo>·</mo>`
		if n.b.mathLevel() < 2 { // a bracket follows
			times = `<mspace width="0.2em"></mspace>`
		}
		return `<mrow>` + n.a.MathMLIn(1) + times + n.b.MathMLIn(2) + `</mrow>`
	case opDiv:
		return `<mfrac>` + n.a.MathML() + n.b.MathML() + `</mfrac>`
	case OpNeg:
		return `<mrow><mo form="prefix">−</mo>` + n.a.MathMLIn(2) + `</mrow>`
	case opPow:
		return `<msup>` + n.a.MathMLIn(4) + MathMLNumber(n.val) + `</msup>`
	case opAbs:
		return MathMLFence("|", n.a.MathML(), "|")
	case opSqrt:
		return `<msqrt>` + n.a.MathML() + `</msqrt>`
	}
	name := ""
	for f := range functions {
		if functions[f].op == n.op {
			name = f
		}
	}
	args := n.a.MathML()
	if n.b != nil {
		args += `<mo separator="true">,</mo>` + n.b.MathML()
	}
	return `<mrow><mi mathvariant="normal">` + name + `</mi>` + MathMLFence("(", args, ")") + `</mrow>`
}
