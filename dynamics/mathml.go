package dynamics

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MathML typesets the governing equations for a page: one <math> element, one row for every term,
// each with its coefficient ± standard error, unit and mode, in the elements of MathML Core
// (W3C, https://www.w3.org/TR/mathml-core/).
func MathML(m *Model) string {
	var b strings.Builder
	b.WriteString(`<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mtable displaystyle="true">`)
	for _, x := range m.States {
		lead := `<mfrac><mrow><mi mathvariant="normal">d</mi>` + mathName(x.Symbol) + `</mrow><mrow><mi mathvariant="normal">d</mi><mi>t</mi></mrow></mfrac>`
		n := 0
		for _, t := range m.Terms {
			if t.State != x.Symbol {
				continue
			}
			relation := ""
			if n == 0 {
				relation = "<mo>=</mo>"
			}
			sign := "+"
			switch {
			case t.Sign < 0:
				sign = "−"
			case n == 0:
				sign = ""
			}
			n++
			fmt.Fprintf(&b, `<mtr><mtd>%s</mtd><mtd>%s</mtd><mtd><mrow>`, lead, relation)
			lead = ""
			if sign != "" {
				fmt.Fprintf(&b, `<mo form="prefix">%s</mo>`, sign)
			}
			if !t.Fixed {
				b.WriteString(mathCoefficient(t.Coefficient, t.StdErr, t.Unit))
			}
			if e, err := parseExpr(t.Expression); err == nil {
				b.WriteString(e.mathIn(1))
			}
			if t.Mode != "" && t.Mode != "always" {
				fmt.Fprintf(&b, `<mspace width="1em"></mspace><mtext>[%s]</mtext>`, html.EscapeString(t.Mode))
			}
			b.WriteString(`</mrow></mtd></mtr>`)
		}
		if n == 0 {
			fmt.Fprintf(&b, `<mtr><mtd>%s</mtd><mtd><mo>=</mo></mtd><mtd><mn>0</mn></mtd></mtr>`, lead)
		}
	}
	b.WriteString(`</mtable></math>`)
	return b.String()
}

// MathMLExpression typesets one expression of the language of hypotheses as a <math> element.
func MathMLExpression(text string) (string, error) {
	e, err := parseExpr(text)
	if err != nil {
		return "", err
	}
	return `<math xmlns="http://www.w3.org/1998/Math/MathML">` + e.math() + `</math>`, nil
}

// Rounded writes a value and its standard error with a common power of ten, which is 0 for values from
// 0.01 to 100000: three digits of the value or two of the error, whichever are more.
func Rounded(v, se float64) (value, stdErr string, exp int) {
	power := func(x float64) int {
		if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
			return 2
		}
		return int(math.Floor(math.Log10(math.Abs(x))))
	}
	if p := power(v); p < -2 || p > 4 {
		exp = p
	}
	scale := math.Pow(10, float64(exp))
	v, se = v/scale, se/scale
	digits := min(8, max(0, 2-power(v), 1-power(se)))
	write := func(x float64) string {
		return strings.Replace(strconv.FormatFloat(x+0, 'f', digits, 64), "-", "−", 1)
	}
	return write(v), write(se), exp
}

// mathCoefficient writes (value ± standard error) · 10ⁿ unit.
func mathCoefficient(v, se float64, unitName string) string {
	value, stdErr, exp := Rounded(v, se)
	var b strings.Builder
	b.WriteString(fence("(", fmt.Sprintf(`<mn>%s</mn><mo form="infix">±</mo><mn>%s</mn>`, value, stdErr), ")"))
	if exp != 0 {
		fmt.Fprintf(&b, `<mo>·</mo><msup><mn>10</mn>%s</msup>`, mathNumber(float64(exp)))
	}
	if unitName != "1" && unitName != "" {
		fmt.Fprintf(&b, `<mspace width="0.2em"></mspace><mtext>%s</mtext>`, html.EscapeString(unitName))
	}
	b.WriteString(`<mspace width="0.3em"></mspace>`)
	return b.String()
}

// mathName writes a symbol as print does: one letter slanted, a word upright, an index below.
func mathName(name string) string {
	if i := strings.IndexByte(name, '_'); i > 0 && i+1 < len(name) {
		return `<msub>` + mathName(name[:i]) + `<mi mathvariant="normal">` + html.EscapeString(name[i+1:]) + `</mi></msub>`
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

func mathNumber(v float64) string {
	if v < 0 {
		return `<mrow><mo form="prefix">−</mo>` + mathNumber(-v) + `</mrow>`
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if mantissa, exp, ok := strings.Cut(text, "e"); ok {
		n, _ := strconv.Atoi(exp)
		return `<mrow><mn>` + mantissa + `</mn><mo>·</mo><msup><mn>10</mn>` + mathNumber(float64(n)) + `</msup></mrow>`
	}
	return `<mn>` + text + `</mn>`
}

// fence puts content between brackets, which grow only around a fraction: fonts without a table for
// mathematics make too much of every other occasion.
func fence(open, content, end string) string {
	stretchy := ""
	if !strings.Contains(content, "<mfrac>") {
		stretchy = ` stretchy="false"`
	}
	return `<mrow><mo form="prefix"` + stretchy + `>` + open + `</mo>` + content + `<mo form="postfix"` + stretchy + `>` + end + `</mo></mrow>`
}

func (n *node) mathLevel() int {
	switch n.op {
	case opAdd, opSub:
		return 0
	case opMul:
		return 1
	case opNeg:
		return 2
	case opPow, opDiv: // a fraction needs no brackets, but a power of one does
		return 3
	}
	return 4
}

// mathIn writes n, in brackets where it binds less than least.
func (n *node) mathIn(least int) string {
	if n.mathLevel() < least {
		return fence("(", n.math(), ")")
	}
	return n.math()
}

// math writes an expression as one MathML element.
func (n *node) math() string {
	switch n.op {
	case opLeaf:
		return mathName(n.name)
	case opConst:
		return mathNumber(n.val)
	case opAdd:
		return `<mrow>` + n.a.mathIn(0) + `<mo form="infix">+</mo>` + n.b.mathIn(1) + `</mrow>`
	case opSub:
		return `<mrow>` + n.a.mathIn(0) + `<mo form="infix">−</mo>` + n.b.mathIn(1) + `</mrow>`
	case opMul:
		times := `<mo>·</mo>`
		if n.b.mathLevel() < 2 { // a bracket follows
			times = `<mspace width="0.2em"></mspace>`
		}
		return `<mrow>` + n.a.mathIn(1) + times + n.b.mathIn(2) + `</mrow>`
	case opDiv:
		return `<mfrac>` + n.a.math() + n.b.math() + `</mfrac>`
	case opNeg:
		return `<mrow><mo form="prefix">−</mo>` + n.a.mathIn(2) + `</mrow>`
	case opPow:
		return `<msup>` + n.a.mathIn(4) + mathNumber(n.val) + `</msup>`
	case opAbs:
		return fence("|", n.a.math(), "|")
	case opSqrt:
		return `<msqrt>` + n.a.math() + `</msqrt>`
	}
	name := ""
	for f := range functions {
		if functions[f].op == n.op {
			name = f
		}
	}
	args := n.a.math()
	if n.b != nil {
		args += `<mo separator="true">,</mo>` + n.b.math()
	}
	return `<mrow><mi mathvariant="normal">` + name + `</mi>` + fence("(", args, ")") + `</mrow>`
}
