package dialect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	bridge "stirwatch/firmware-bridge"
)

// Printer speaks the language of 3-D printer firmware (Marlin and its relatives): numbered lines
// with a checksum, N<n> … *<exclusive or>, each answered by "ok"; lines that arrived damaged are
// asked for again. Temperatures that the firmware reports by itself may come in between.
// Source: https://reprap.org/wiki/G-code, sections N, * and "Replies from the RepRap machine".
type Printer struct {
	link
	words  map[string]PrinterWord
	report time.Duration
	n      int // number of the last line that was taken
}

// PrinterWord is how one heater is spoken of.
type PrinterWord struct {
	Code     string // command that takes the temperature as S: M104 (nozzle), M140 (bed), M141 (chamber); "": only read
	Tool     int    // number of the nozzle for M104, -1: the active one
	Key      string // in the report, T:20.1 /0.0 B:…; default by Code: T or T<tool>, B, C
	Measured bool   // read the measured value, before the slash, instead of the set-point
	Decimals int
}

var printerCodes = map[string]string{"M104": "T", "M140": "B", "M141": "C"}

// NewPrinter makes the dialect. The firmware reports temperatures by itself every report, in whole
// seconds; 0: it is told not to.
func NewPrinter(p *Port, words map[string]PrinterWord, report time.Duration) (*Printer, error) {
	words = maps.Clone(words)
	for name, w := range words {
		key, ok := printerCodes[w.Code]
		if !ok && w.Code != "" {
			return nil, fmt.Errorf("target %s: %q sets no temperature; there are %s", name, w.Code, strings.Join(slices.Sorted(maps.Keys(printerCodes)), ", "))
		}
		if w.Decimals < 0 || w.Decimals > 3 || w.Tool < -1 || w.Tool > 99 {
			return nil, fmt.Errorf("target %s: %d decimals, tool %d; 0 to 3 and -1 to 99 can be written", name, w.Decimals, w.Tool)
		}
		if w.Key == "" {
			if w.Key = key; key == "T" && w.Tool >= 0 {
				w.Key += strconv.Itoa(w.Tool)
			}
		}
		words[name] = w
	}
	return &Printer{link: link{port: p}, words: words, report: report}, nil
}

func (p *Printer) text(op bridge.Op, target string, v float64) (string, error) {
	w, ok := p.words[target]
	switch {
	case op == bridge.OpProbe:
		return "M115", nil
	case !ok:
		return "", fmt.Errorf("%w: %s", bridge.ErrNoTarget, target)
	case op == bridge.OpGet:
		return "M105", nil
	case w.Code == "":
		return "", fmt.Errorf("%s is only read", target)
	}
	s := w.Code
	if w.Code == "M104" && w.Tool >= 0 {
		s += " T" + strconv.Itoa(w.Tool)
	}
	return s + " S" + strconv.FormatFloat(v, 'f', w.Decimals, 64), nil
}

// numbered is the line as it is sent.
func numbered(n int, s string) string {
	s = "N" + strconv.Itoa(n) + " " + s
	sum := byte(0)
	for i := range len(s) {
		sum ^= s[i]
	}
	return s + "*" + strconv.Itoa(int(sum)) + "\n"
}

// Show implements [bridge.Dialect].
func (p *Printer) Show(op bridge.Op, target string, v float64) (string, error) {
	s, err := p.text(op, target, v)
	return strconv.Quote(numbered(p.n+1, s)), err
}

// Resolution implements [bridge.Dialect].
func (p *Printer) Resolution(target string) float64 { return grid(p.words[target].Decimals) }

// restart makes the firmware count from 0.
const restart = "M110 N0"

// resync finds the beat again and agrees on line numbers: what is answered to M105 cannot be
// mistaken, and whatever was on its way comes before it.
func (p *Printer) resync(ctx context.Context) error {
	fresh := p.conn == nil
	if err := p.connect(ctx); err != nil {
		return err
	}
	if !p.stale {
		return nil
	}
	p.drain()
	if err := p.write(ctx, []byte("\n"+numbered(0, restart)+numbered(1, "M105"))); err != nil {
		return err
	}
	p.n = 1
	for {
		reply, err := p.line(ctx)
		if err != nil {
			return err
		}
		if strings.HasPrefix(reply, "ok") && strings.Contains(reply, "T:") {
			break
		}
	}
	if err := p.quiet(ctx, 20*time.Millisecond); err != nil { // the answer to a request given up may be of the same form
		return err
	}
	p.stale = false
	if fresh {
		// Firmware that does not know M155 says so and answers ok; then nothing is reported.
		_, err := p.exchange(ctx, "M155 S"+strconv.Itoa(int(p.report.Seconds())))
		if _, refused := err.(*bridge.DeviceError); err != nil && !refused {
			return err
		}
	}
	return nil
}

// maxResend is how often a line is sent again before the connection counts as too bad.
const maxResend = 5

// exchange sends one line and returns what was answered before and with the ok.
func (p *Printer) exchange(ctx context.Context, s string) (string, error) {
	p.drain()
	n := p.n + 1
	if err := p.write(ctx, []byte(numbered(n, s))); err != nil {
		return "", err
	}
	var said []string
	refusal, again, asked := "", false, 0
	for {
		reply, err := p.line(ctx)
		if err != nil {
			return "", err
		}
		lower := strings.ToLower(reply)
		switch {
		case strings.HasPrefix(lower, "ok"):
			if again { // the ok that follows a request to send again
				again = false
				if asked++; asked > maxResend {
					return "", fmt.Errorf("%s: line %d was asked for %d times", p.port.Name, n, asked)
				}
				if err := p.write(ctx, []byte(numbered(n, s))); err != nil {
					return "", err
				}
				continue
			}
			p.n, p.stale = n, false
			if refusal != "" {
				return "", &bridge.DeviceError{Request: s, Reply: refusal}
			}
			return strings.Join(append(said, reply), "\n"), nil
		case strings.HasPrefix(lower, "resend") || strings.HasPrefix(lower, "rs "):
			want := strings.TrimFunc(reply, func(r rune) bool { return r < '0' || r > '9' })
			if want != strconv.Itoa(n) {
				return "", fmt.Errorf("%s: the firmware asks for line %q, this was line %d: it has restarted", p.port.Name, want, n)
			}
			again = true
			refusal = ""
		case strings.HasPrefix(lower, "error:") && (strings.Contains(lower, "last line") || strings.Contains(lower, "checksum")):
			// a Resend follows
		case strings.HasPrefix(lower, "error:"), strings.HasPrefix(lower, "!!"), strings.Contains(lower, "unknown command"):
			refusal = reply
			if strings.HasPrefix(lower, "!!") || strings.Contains(lower, "halted") {
				return "", &bridge.DeviceError{Request: s, Reply: reply} // no ok will come
			}
		case strings.Contains(lower, "busy:"), strings.HasPrefix(reply, "T:"), reply == "wait", strings.HasPrefix(reply, "start"):
		default:
			if len(said) < 100 {
				said = append(said, reply)
			}
		}
	}
}

// Set implements [bridge.Dialect].
func (p *Printer) Set(ctx context.Context, target string, v float64) error {
	s, err := p.text(bridge.OpSet, target, v)
	if err != nil {
		return err
	}
	if err := p.resync(ctx); err != nil {
		return err
	}
	_, err = p.exchange(ctx, s)
	return err
}

// Safe implements [bridge.Dialect].
func (p *Printer) Safe(ctx context.Context, target string, v float64) error {
	s, err := p.text(bridge.OpSafe, target, v)
	if err != nil {
		return err
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	if !p.stale {
		_, err := p.exchange(ctx, s)
		return err
	}
	// Numbers are agreed upon in the same breath; half a line before it has no checksum and is void.
	if err := p.write(ctx, []byte("\n"+numbered(0, restart)+numbered(1, s))); err != nil {
		return err
	}
	if err := p.resync(ctx); err != nil {
		return err
	}
	return bridge.ErrUnsure
}

// Get implements [bridge.Dialect].
func (p *Printer) Get(ctx context.Context, target string) (float64, error) {
	s, err := p.text(bridge.OpGet, target, 0)
	if err != nil {
		return 0, err
	}
	if err := p.resync(ctx); err != nil {
		return 0, err
	}
	reply, err := p.exchange(ctx, s)
	if err != nil {
		return 0, err
	}
	w := p.words[target]
	v, err := reported(reply, w.Key, w.Measured)
	if err != nil {
		p.stale = true
		return 0, fmt.Errorf("%s: %w", p.port.Name, err)
	}
	return v, nil
}

// reported finds a temperature in "ok T:20.1 /0.0 B:22.0 /60.0 T0:20.1 /0.0 @:0".
func reported(reply, key string, measured bool) (float64, error) {
	words := strings.Fields(reply)
	for i, word := range words {
		value, ok := strings.CutPrefix(word, key+":")
		if !ok {
			continue
		}
		value, target, joined := strings.Cut(value, "/")
		if measured {
			return number(value)
		}
		if !joined && i+1 < len(words) {
			target, joined = strings.CutPrefix(words[i+1], "/")
		}
		if !joined {
			return 0, fmt.Errorf("%.80q tells no set-point of %s", reply, key)
		}
		return number(target)
	}
	return 0, fmt.Errorf("%.80q tells nothing of %s", reply, key)
}

// Probe implements [bridge.Dialect].
func (p *Printer) Probe(ctx context.Context) (string, error) {
	if err := p.resync(ctx); err != nil {
		return "", err
	}
	return p.exchange(ctx, "M115")
}
