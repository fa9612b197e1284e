package report

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// ink is what a colour stands for; the page has one for light and one for dark surroundings.
type ink struct{ name, light, dark string }

var (
	inkText     = ink{"text", "#1b2733", "#e6e9ed"}
	inkMuted    = ink{"muted", "#5c6773", "#9aa5b1"}
	inkGrid     = ink{"grid", "#e3e7eb", "#2a323a"}
	inkKnown    = ink{"known", "#0b6fb8", "#58b0f0"}
	inkPlan     = ink{"plan", "#d1570a", "#ff9a4d"}
	inkHeld     = ink{"held", "#8a5fbf", "#bb98e8"}
	inkPersist  = ink{"persistence", "#7d8790", "#8f99a3"}
	inkSetPoint = ink{"setpoint", "#2e8b57", "#5cc98b"}

	// By phase.Phase.
	inkPhase = []ink{
		{"unknown", "#d5dbe0", "#39424b"}, {"stopped", "#b9c2ca", "#56616c"}, {"free", "#9ecbec", "#3d6f94"}, {"warmup", "#f5c84c", "#b08a1e"},
		{"prime", "#ee9440", "#b8651c"}, {"deposit", "#cf5a45", "#a8412f"},
	}
	// Of the terms of the equation, in turn.
	inkTerm = []ink{
		{"term0", "#c0392b", "#f0776a"}, {"term1", "#0b6fb8", "#58b0f0"}, {"term2", "#2e8b57", "#5cc98b"}, {"term3", "#8a5fbf", "#bb98e8"},
		{"term4", "#a9780b", "#dcae45"}, {"term5", "#c23b6b", "#f07fa8"}, {"term6", "#14838f", "#4cc3cf"}, {"term7", "#6b7280", "#a1a9b4"},
	}
)

func inks() []ink {
	all := []ink{inkText, inkMuted, inkGrid, inkKnown, inkPlan, inkHeld, inkPersist, inkSetPoint}
	return append(append(all, inkPhase...), inkTerm...)
}

// styles gives the rules by which lines, areas and text take their colours.
func styles(dark bool) string {
	var b strings.Builder
	for _, i := range inks() {
		c := i.light
		if dark {
			c = i.dark
		}
		fmt.Fprintf(&b, ".l.c-%[1]s{stroke:%[2]s}.a.c-%[1]s,.t.c-%[1]s{fill:%[2]s}", i.name, c)
	}
	return b.String()
}

const baseStyle = ".l{fill:none;stroke-linejoin:round;stroke-linecap:round}.t{font-family:system-ui,-apple-system,'Segoe UI',sans-serif}"

type point struct{ x, y float64 }

// shape is a line, an area or a text.
type shape struct {
	ink    ink
	points []point
	width  float64   // of a line; 0: the points bound an area
	dash   []float64 // on and off, nil is solid
	alpha  float64   // of an area

	text   string // at points[0]
	tail   string // behind it, muted and not bold
	size   float64
	bold   bool
	anchor float64 // share of the text that stands left of the point
}

// canvas collects shapes; it can be written as SVG and as PNG. Lengths are CSS pixels.
type canvas struct {
	w, h   float64
	shapes []shape
}

func (c *canvas) line(k ink, width float64, dash []float64, p ...point) {
	if len(p) > 1 {
		c.shapes = append(c.shapes, shape{ink: k, points: p, width: width, dash: dash})
	}
}

func (c *canvas) area(k ink, alpha float64, p ...point) {
	c.shapes = append(c.shapes, shape{ink: k, points: p, alpha: alpha})
}

func (c *canvas) box(k ink, alpha, x, y, w, h float64) {
	c.area(k, alpha, point{x, y}, point{x + w, y}, point{x + w, y + h}, point{x, y + h})
}

func (c *canvas) text(k ink, x, y, size, anchor float64, bold bool, text string) {
	c.shapes = append(c.shapes, shape{ink: k, points: []point{{x, y}}, text: text, size: size, anchor: anchor, bold: bold})
}

// heading writes a title with its unit behind.
func (c *canvas) heading(x, y float64, title, unit string) {
	c.shapes = append(c.shapes, shape{ink: inkText, points: []point{{x, y}}, text: title, tail: unit, size: titleSize, bold: true})
}

// textWidth is about how wide a text comes out in any of the fonts that a page may use.
func textWidth(text string, size float64) float64 {
	return 0.54 * size * float64(utf8.RuneCountInString(text))
}

func coordinate(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64)
}

// svg writes the canvas. One that is to stand alone carries its colours, for light surroundings, and
// a background; one inside the page takes them from there.
func (c *canvas) svg(w io.Writer, title string, alone bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img"`, coordinate(c.w), coordinate(c.h))
	if alone {
		fmt.Fprintf(&b, ` width="%s" height="%s"`, coordinate(c.w), coordinate(c.h))
	}
	fmt.Fprintf(&b, `><title>%s</title>`, html.EscapeString(title))
	if alone {
		fmt.Fprintf(&b, `<style>%s%s</style><rect width="100%%" height="100%%" fill="#ffffff"/>`, baseStyle, styles(false))
	}
	for i := range c.shapes {
		s := &c.shapes[i]
		switch {
		case s.text != "":
			anchor := ""
			switch s.anchor {
			case 0.5:
				anchor = ` text-anchor="middle"`
			case 1:
				anchor = ` text-anchor="end"`
			}
			if s.bold {
				anchor += ` font-weight="600"`
			}
			fmt.Fprintf(&b, `<text class="t c-%s" x="%s" y="%s" font-size="%s"%s>%s`,
				s.ink.name, coordinate(s.points[0].x), coordinate(s.points[0].y), coordinate(s.size), anchor, html.EscapeString(s.text))
			if s.tail != "" {
				fmt.Fprintf(&b, `<tspan class="t c-%s" font-weight="400" font-size="%s" dx="7">%s</tspan>`, inkMuted.name, coordinate(labelSize), html.EscapeString(s.tail))
			}
			b.WriteString("</text>")
			continue
		case s.width > 0:
			fmt.Fprintf(&b, `<path class="l c-%s" stroke-width="%s"`, s.ink.name, coordinate(s.width))
			if s.dash != nil {
				fmt.Fprintf(&b, ` stroke-dasharray="%s %s"`, coordinate(s.dash[0]), coordinate(s.dash[1]))
			}
		default:
			fmt.Fprintf(&b, `<path class="a c-%s"`, s.ink.name)
			if s.alpha < 1 {
				fmt.Fprintf(&b, ` fill-opacity="%.2g"`, s.alpha)
			}
		}
		b.WriteString(` d="M`)
		for k, p := range s.points {
			if k > 0 {
				b.WriteByte('L')
			}
			b.WriteString(coordinate(p.x) + " " + coordinate(p.y))
		}
		if s.width == 0 {
			b.WriteByte('Z')
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>")
	_, err := io.WriteString(w, b.String())
	return err
}

// pngScale is how many pixels of a PNG go on one of the canvas.
const pngScale = 2

// png writes the canvas as a picture on white.
func (c *canvas) png(w io.Writer) error {
	img := image.NewRGBA(image.Rect(0, 0, int(c.w*pngScale), int(c.h*pngScale)))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	var p painter
	for i := range c.shapes {
		if err := p.paint(img, &c.shapes[i]); err != nil {
			return err
		}
	}
	return png.Encode(w, img)
}

// painter draws shapes into a picture.
type painter struct {
	r     vector.Rasterizer
	faces map[[2]float64]font.Face
}

func (p *painter) paint(img *image.RGBA, s *shape) error {
	alpha := 1.0
	if s.width == 0 && s.text == "" {
		alpha = s.alpha
	}
	src := image.NewUniform(paint(s.ink.light, alpha))
	if s.text != "" {
		face, err := p.face(s.size*pngScale, s.bold)
		if err != nil {
			return err
		}
		d := font.Drawer{Dst: img, Src: src, Face: face}
		x := fixed.Int26_6(s.points[0].x*pngScale*64) - fixed.Int26_6(s.anchor*float64(d.MeasureString(s.text)))
		d.Dot = fixed.Point26_6{X: x, Y: fixed.Int26_6(s.points[0].y * pngScale * 64)}
		d.DrawString(s.text)
		if s.tail == "" {
			return nil
		}
		d.Src, d.Dot.X = image.NewUniform(paint(inkMuted.light, 1)), d.Dot.X+fixed.I(7*pngScale)
		if d.Face, err = p.face(labelSize*pngScale, false); err != nil {
			return err
		}
		d.DrawString(s.tail)
		return nil
	}
	// Only the part of the picture that the shape covers is worked on.
	lo, hi := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	scaled := make([]point, len(s.points))
	for i, q := range s.points {
		q = point{q.x * pngScale, q.y * pngScale}
		scaled[i] = q
		lo, hi = point{min(lo.x, q.x), min(lo.y, q.y)}, point{max(hi.x, q.x), max(hi.y, q.y)}
	}
	margin := s.width*pngScale + 2
	rect := image.Rect(int(lo.x-margin), int(lo.y-margin), int(hi.x+margin)+1, int(hi.y+margin)+1)
	if rect.Intersect(img.Bounds()).Empty() {
		return nil
	}
	for i := range scaled {
		scaled[i].x -= float64(rect.Min.X)
		scaled[i].y -= float64(rect.Min.Y)
	}
	p.r.Reset(rect.Dx(), rect.Dy())
	if s.width == 0 {
		p.polygon(scaled)
	} else {
		for _, part := range dashes(scaled, s.dash) {
			p.stroke(part, s.width*pngScale)
		}
	}
	p.r.Draw(img, rect, src, image.Point{})
	return nil
}

func (p *painter) polygon(points []point) {
	for i, q := range points {
		if i == 0 {
			p.r.MoveTo(float32(q.x), float32(q.y))
		} else {
			p.r.LineTo(float32(q.x), float32(q.y))
		}
	}
	p.r.ClosePath()
}

// stroke fills a rectangle for every segment and a disc for every corner, all turning the same way.
func (p *painter) stroke(points []point, width float64) {
	r := width / 2
	const corners = 12
	var disc [corners]point
	for i, a := range points {
		for k := range disc {
			sin, cos := math.Sincos(-2 * math.Pi * float64(k) / corners)
			disc[k] = point{a.x + r*cos, a.y + r*sin}
		}
		p.polygon(disc[:])
		if i == 0 {
			continue
		}
		b := points[i-1]
		length := math.Hypot(a.x-b.x, a.y-b.y)
		if length == 0 {
			continue
		}
		nx, ny := -(a.y-b.y)/length*r, (a.x-b.x)/length*r
		p.polygon([]point{{b.x + nx, b.y + ny}, {a.x + nx, a.y + ny}, {a.x - nx, a.y - ny}, {b.x - nx, b.y - ny}})
	}
}

// dashes cuts a line into the parts that are drawn.
func dashes(points []point, dash []float64) [][]point {
	if dash == nil {
		return [][]point{points}
	}
	var parts [][]point
	part := []point{points[0]}
	k, left := 0, dash[0]*pngScale
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		for at := 0.0; at < length; {
			step := min(left, length-at)
			at += step
			left -= step
			q := point{a.x + (b.x-a.x)*at/length, a.y + (b.y-a.y)*at/length}
			part = append(part, q)
			if left <= 0 {
				if k == 0 {
					parts = append(parts, part)
				}
				k = 1 - k
				left = dash[k] * pngScale
				part = []point{q}
			}
		}
	}
	if k == 0 && len(part) > 1 {
		parts = append(parts, part)
	}
	return parts
}

// The fonts are parsed when the first picture is painted: a program that only links them pays nothing.
var fonts = sync.OnceValues(func() ([2]*opentype.Font, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return [2]*opentype.Font{}, err
	}
	bold, err := opentype.Parse(gobold.TTF)
	return [2]*opentype.Font{regular, bold}, err
})

func (p *painter) face(size float64, bold bool) (font.Face, error) {
	key := [2]float64{size, 0}
	if bold {
		key[1] = 1
	}
	if f, ok := p.faces[key]; ok {
		return f, nil
	}
	both, err := fonts()
	if err != nil {
		return nil, err
	}
	f, err := opentype.NewFace(both[int(key[1])], &opentype.FaceOptions{Size: size, DPI: 72})
	if err != nil {
		return nil, err
	}
	if p.faces == nil {
		p.faces = map[[2]float64]font.Face{}
	}
	p.faces[key] = f
	return f, nil
}

// paint reads #rrggbb.
func paint(hex string, alpha float64) color.Color {
	v, _ := strconv.ParseUint(hex[1:], 16, 32)
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: uint8(255*alpha + 0.5)}
}
