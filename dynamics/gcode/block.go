// Package gcode reads the programs of machines: the words of each block, and the steps that they mean in
// order. It is the one reader of programs; it imports the standard library alone.
//
// The language is RS274 (Kramer, Proctor and Messina 2000, NISTIR 6556, section 3) without parameters,
// expressions and subprograms, with the M-words of MELD machines and their G700 and G710 for inch and mm.
package gcode

import (
	"iter"
	"strconv"
	"strings"
)

// Word is a letter and its number: X12.5.
type Word struct {
	Letter byte // A to Z
	Value  float64
}

// Block is one line of a program.
type Block struct {
	Place   int    // of the line in its file, from 1
	Number  int    // of its N word, −1 where it has none
	Skip    bool   // begins with /: the machine leaves it out where block skip is on
	Name    string // of the program, behind %
	Words   []Word // without N; overwritten by the next block
	Comment string // what stands in parentheses and behind ;
	Bad     string // the first text that is no word, "" where all are
}

// Numbers of words are at most this large: no length, speed or wait of a machine is.
const maxValue = 1e9

// Blocks gives the blocks of text, one a line, whatever stands in them.
func Blocks(text string) iter.Seq[*Block] {
	return func(yield func(*Block) bool) {
		var b Block
		text = strings.TrimPrefix(text, "\ufeff")
		for place := 1; len(text) > 0; place++ {
			end := strings.IndexAny(text, "\r\n")
			line := text
			if end < 0 {
				text = ""
			} else {
				line = text[:end]
				if strings.HasPrefix(text[end:], "\r\n") {
					end++
				}
				text = text[end+1:]
			}
			b.Place = place
			if b.Parse(line); !yield(&b) {
				return
			}
		}
	}
}

// Parse reads one line into b, whose place stays.
func (b *Block) Parse(line string) {
	*b = Block{Place: b.Place, Number: -1, Words: b.Words[:0]}
	line = b.comments(line)
	for {
		line = strings.TrimLeft(line, " \t\x00\v\f")
		if line == "" {
			return
		}
		switch line[0] {
		case '%':
			b.Name, line = strings.TrimSpace(line[1:]), ""
		case '/':
			b.Skip, line = true, strings.TrimLeft(line[1:], "0123456789")
		case '*': // a checksum
			line = strings.TrimLeft(line[1:], " \t0123456789")
		default:
			line = b.word(line)
		}
	}
}

// word reads the word in front of line and gives what follows it.
func (b *Block) word(line string) string {
	letter := line[0] &^ 0x20
	is := letter >= 'A' && letter <= 'Z' && line[0] >= 'A'
	n, from := 1, 1
	if is {
		for from < len(line) && (line[from] == ' ' || line[from] == '\t') {
			from++
		}
		for n = from; n < len(line) && strings.IndexByte("+-.0123456789", line[n]) >= 0; n++ {
		}
		v, err := strconv.ParseFloat(line[from:n], 64)
		decimals := n+1 < len(line) && line[n] == ',' && line[n+1]-'0' <= 9 // of a decimal comma: half a number would be another
		if err == nil && v >= -maxValue && v <= maxValue && !decimals {
			if letter == 'N' && b.Number < 0 && v >= 0 && v == float64(int(v)) {
				b.Number = int(v)
			} else {
				b.Words = append(b.Words, Word{letter, v})
			}
			return line[n:]
		}
	}
	if n = max(n, 1); n == from || n < len(line) && line[n] == ',' { // no number: up to the next blank
		for n < len(line) && line[n] != ' ' && line[n] != '\t' {
			n++
		}
	}
	if b.Bad == "" {
		b.Bad = strings.TrimSpace(line[:n])
	}
	return line[n:]
}

// comments takes the comments out of line.
func (b *Block) comments(line string) string {
	if !strings.ContainsAny(line, "(;") {
		return line
	}
	var code, said strings.Builder
	depth := 0
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '(':
			depth++
			if depth == 1 {
				code.WriteByte(' ')
				continue
			}
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				said.WriteByte(' ')
				continue
			}
		case c == ';' && depth == 0:
			said.WriteString(line[i+1:])
			b.Comment = strings.TrimSpace(said.String())
			return code.String()
		}
		if depth > 0 {
			said.WriteByte(line[i])
		} else {
			code.WriteByte(line[i])
		}
	}
	b.Comment = strings.TrimSpace(said.String())
	return code.String()
}

// Get gives the value of the first word of a letter.
func (b *Block) Get(letter byte) (v float64, is bool) {
	for _, w := range b.Words {
		if w.Letter == letter {
			return w.Value, true
		}
	}
	return 0, false
}

// Has tells whether b has a word of one of the letters.
func (b *Block) Has(letters string) bool {
	for _, w := range b.Words {
		if strings.IndexByte(letters, w.Letter) >= 0 {
			return true
		}
	}
	return false
}
