package dialect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	bridge "stirwatch/firmware-bridge"
)

// MELD speaks the handshake M-codes of MELD machines: a line such as "M41 S475" ended by CR LF,
// answered by "ok" or "error: why", one in flight. The line "?" is answered by one line of key=value
// pairs, which reads values back and finds the beat again after a lost or doubled reply: whatever
// was on its way comes before it.
type MELD struct {
	link
	words map[string]MELDWord
}

// MELDWord is how one target is spoken of.
type MELDWord struct {
	Code     string // M-code that takes the value as S; "": it is only read
	Key      string // key of the "?" line that tells the value; "": it cannot be read back
	Safe     string // code that stands for the safe state, such as M05 or M41 S455; "": Code with the safe value
	Decimals int    // of the number after S
}

// MELDCodes are the M-codes that take a value and may be commanded, and what they do. The codes
// that answer only when the machine has got there (M04, M42, M43) are not among them: a lease
// cannot wait for those.
var MELDCodes = map[string]string{
	"M06": "spindle speed",
	"M24": "actuator velocity",
	"M41": "set-point of the spindle's controller, 0 = off",
	"M52": "traverse override",
	"M71": "Kp × 100", "M72": "Tn × 10", "M73": "Tv", "M74": "Td", "M75": "least output", "M76": "largest output",
}

// meldStops are the codes that may stand for a safe state.
var meldStops = map[string]string{"M05": "spindle stop", "M25": "actuator stop"}

// NewMELD makes the dialect; it fails for codes that it does not know.
func NewMELD(p *Port, words map[string]MELDWord) (*MELD, error) {
	for name, w := range words {
		if w.Code == "" && w.Key != "" {
			continue // only read
		}
		if MELDCodes[w.Code] == "" {
			return nil, fmt.Errorf("target %s: %q cannot be commanded under a lease; there are %s", name, w.Code, strings.Join(slices.Sorted(maps.Keys(MELDCodes)), ", "))
		}
		if w.Safe != "" && meldStops[w.Safe] == "" && !strings.HasPrefix(w.Safe, "M41 S") {
			return nil, fmt.Errorf("target %s: %q stands for no safe state; there are %s", name, w.Safe, strings.Join(slices.Sorted(maps.Keys(meldStops)), ", "))
		}
		if w.Decimals < 0 || w.Decimals > 9 {
			return nil, fmt.Errorf("target %s: %d decimals; 0 to 9 can be written", name, w.Decimals)
		}
	}
	return &MELD{link: link{port: p}, words: maps.Clone(words)}, nil
}

const meldEnd = "\r\n"

func (m *MELD) text(op bridge.Op, target string, v float64) (string, error) {
	w, ok := m.words[target]
	switch {
	case op == bridge.OpProbe:
		return "?", nil
	case !ok:
		return "", fmt.Errorf("%w: %s", bridge.ErrNoTarget, target)
	case op == bridge.OpGet && w.Key == "":
		return "", bridge.ErrNoReadBack
	case op == bridge.OpGet:
		return "?", nil
	case w.Code == "":
		return "", fmt.Errorf("%s is only read", target)
	case op == bridge.OpSafe && w.Safe != "":
		return w.Safe, nil
	}
	return w.Code + " S" + strconv.FormatFloat(v, 'f', w.Decimals, 64), nil
}

// Show implements [bridge.Dialect].
func (m *MELD) Show(op bridge.Op, target string, v float64) (string, error) {
	s, err := m.text(op, target, v)
	return strconv.Quote(s + meldEnd), err
}

// Resolution implements [bridge.Dialect].
func (m *MELD) Resolution(target string) float64 { return grid(m.words[target].Decimals) }

// grid is the step of a number with so many decimals.
func grid(decimals int) float64 { // read, not computed: 0.1, not 0.1000…1
	v, err := strconv.ParseFloat("1e-"+strconv.Itoa(decimals), 64)
	if err != nil {
		return 0
	}
	return v
}

// Set implements [bridge.Dialect].
func (m *MELD) Set(ctx context.Context, target string, v float64) error {
	s, err := m.text(bridge.OpSet, target, v)
	if err != nil {
		return err
	}
	if err := m.connect(ctx); err != nil {
		return err
	}
	if m.stale {
		if _, err := m.status(ctx); err != nil {
			return err
		}
	}
	m.drain()
	if err := m.write(ctx, []byte(s+meldEnd)); err != nil {
		return err
	}
	return m.acknowledged(ctx, s)
}

// acknowledged waits for ok or error. Other lines are noise: if the answer was among them, the time
// runs out, the error tells the last of them, and the next request finds the beat again.
func (m *MELD) acknowledged(ctx context.Context, request string) error {
	said := ""
	for {
		reply, err := m.line(ctx)
		if err != nil {
			return m.instead(request, said, "ok, or error: why", err)
		}
		if strings.EqualFold(reply, "ok") {
			m.stale = false
			return nil
		}
		if refuses(reply) {
			m.stale = false
			return &bridge.DeviceError{Request: request, Reply: reply}
		}
		said = reply
	}
}

// refuses reports whether a line is an error of the machine's: "error", whatever its case, and behind it nothing or why.
func refuses(line string) bool {
	const word = "error"
	return len(line) >= len(word) && strings.EqualFold(line[:len(word)], word) && (len(line) == len(word) || line[len(word)] == ':' || line[len(word)] == ' ')
}

// instead is err, with what was said last in the place of what was waited for.
func (m *MELD) instead(request, said, wanted string, err error) error {
	if said == "" {
		return err
	}
	return fmt.Errorf("%s: %q was answered by %.80q; this dialect knows %s: %w", m.port.Name, request, said, wanted, err)
}

// Safe implements [bridge.Dialect].
func (m *MELD) Safe(ctx context.Context, target string, v float64) error {
	s, err := m.text(bridge.OpSafe, target, v)
	if err != nil {
		return err
	}
	if err := m.connect(ctx); err != nil {
		return err
	}
	unsure := m.stale
	line := s + meldEnd
	if m.torn {
		line = "?" + meldEnd + line // spoils half a line, which might be a command by itself
	}
	m.drain()
	if err := m.write(ctx, []byte(line)); err != nil {
		return err
	}
	if !unsure {
		return m.acknowledged(ctx, s)
	}
	if _, err := m.status(ctx); err != nil {
		return err
	}
	return bridge.ErrUnsure
}

// status asks "?" until a line of pairs comes back. Everything that was said before is thus heard.
func (m *MELD) status(ctx context.Context) (map[string]string, error) {
	if err := m.connect(ctx); err != nil {
		return nil, err
	}
	m.drain()
	again, said := m.stale, ""
	if err := m.write(ctx, []byte("?"+meldEnd)); err != nil {
		return nil, err
	}
	for {
		reply, err := m.line(ctx)
		if err != nil {
			return nil, m.instead("?", said, "one line of key=value pairs", err)
		}
		if pairs := pairsOf(reply); len(pairs) > 0 {
			m.stale = false
			return pairs, nil
		}
		if said = reply; refuses(reply) && again {
			again = false // it took "?" for the end of half a line
			if err := m.write(ctx, []byte("?"+meldEnd)); err != nil {
				return nil, err
			}
		}
	}
}

// pairsOf reads "a=1 b=2", separated by blanks, commas or semicolons; nil where a part is no pair.
func pairsOf(line string) map[string]string {
	pairs := make(map[string]string)
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == '\t' }) {
		k, v, ok := strings.Cut(part, "=")
		if !ok || k == "" {
			return nil
		}
		if _, twice := pairs[k]; twice {
			return nil // two lines run together
		}
		pairs[k] = v
	}
	return pairs
}

// Get implements [bridge.Dialect].
func (m *MELD) Get(ctx context.Context, target string) (float64, error) {
	if _, err := m.text(bridge.OpGet, target, 0); err != nil {
		return 0, err
	}
	pairs, err := m.status(ctx)
	if err != nil {
		return 0, err
	}
	key := m.words[target].Key
	v, ok := pairs[key]
	if !ok {
		return 0, fmt.Errorf("%s: the answer to ? has no %q; it has %s", m.port.Name, key, strings.Join(slices.Sorted(maps.Keys(pairs)), ", "))
	}
	return number(v)
}

// Tell implements [bridge.Teller]: one question tells all.
func (m *MELD) Tell(ctx context.Context, targets []string, values []float64) error {
	pairs, err := m.status(ctx)
	if err != nil {
		return err
	}
	for i, name := range targets {
		v, ok := pairs[m.words[name].Key]
		if !ok {
			err = fmt.Errorf("%s: the answer to ? has no %q for %s; it has %s", m.port.Name, m.words[name].Key, name, strings.Join(slices.Sorted(maps.Keys(pairs)), ", "))
			continue
		}
		if n, bad := number(v); bad != nil {
			err = fmt.Errorf("%s: %s: %w", m.port.Name, name, bad)
		} else {
			values[i] = n
		}
	}
	return err
}

// Probe implements [bridge.Dialect].
func (m *MELD) Probe(ctx context.Context) (string, error) {
	pairs, err := m.status(ctx)
	if err != nil {
		return "", err
	}
	var s []string
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		s = append(s, k+"="+pairs[k])
	}
	return strings.Join(s, " "), nil
}

var errNoNumber = errors.New("not a number")

// number reads a finite decimal number.
func number(s string) (float64, error) {
	if len(s) > 40 || strings.ContainsAny(s, "xXpP_nN") {
		return 0, fmt.Errorf("%w: %.40q", errNoNumber, s)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || v-v != 0 {
		return 0, fmt.Errorf("%w: %.40q", errNoNumber, s)
	}
	return v, nil
}
