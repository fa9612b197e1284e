package twin

import (
	"math"
	"sync"
)

// outline is a closed tool path: a rounded rectangle whose short sides are drawn in, as on the
// recorded build. It is kept as points at equal distances.
type outline struct {
	length float64 // m of a lap
	x, y   [pathPoints]float64
	curve  [pathPoints]float64 // 1/m
}

const pathPoints = 384

// defaultPath is shared: nobody changes it.
var defaultPath = sync.OnceValue(drawPath)

// drawPath passes through a quarter's points and their mirror images, joined by Catmull-Rom
// curves; 165 mm by 164 mm.
func drawPath() *outline {
	quarter := [][2]float64{{82.5, 0}, {82.5, 20}, {82.3, 38}, {79.5, 56}, {71, 71}, {59, 79.5}, {45.5, 82}, {30, 78.5}, {15, 72}, {0, 69.1}}
	var all [][2]float64
	n := len(quarter) - 1
	for i := range n { // right, upwards
		all = append(all, quarter[i])
	}
	for i := n; i > 0; i-- { // top, to the left
		all = append(all, [2]float64{-quarter[i][0], quarter[i][1]})
	}
	for i := range n {
		all = append(all, [2]float64{-quarter[i][0], -quarter[i][1]})
	}
	for i := n; i > 0; i-- {
		all = append(all, [2]float64{quarter[i][0], -quarter[i][1]})
	}
	const fine = 64
	var xs, ys, s []float64
	sum := 0.0
	for i := range all {
		p0, p1 := all[(i+len(all)-1)%len(all)], all[i]
		p2, p3 := all[(i+1)%len(all)], all[(i+2)%len(all)]
		for k := range fine {
			t := float64(k) / fine
			at := func(a, b, c, d float64) float64 {
				return 0.5 * (2*b + (c-a)*t + (2*a-5*b+4*c-d)*t*t + (3*b-a-3*c+d)*t*t*t)
			}
			x, y := at(p0[0], p1[0], p2[0], p3[0])*1e-3, at(p0[1], p1[1], p2[1], p3[1])*1e-3
			if len(xs) > 0 {
				sum += math.Hypot(x-xs[len(xs)-1], y-ys[len(ys)-1])
			}
			xs, ys, s = append(xs, x), append(ys, y), append(s, sum)
		}
	}
	o := &outline{length: sum + math.Hypot(xs[0]-xs[len(xs)-1], ys[0]-ys[len(ys)-1])}
	k := 0
	for i := range pathPoints {
		want := o.length * float64(i) / pathPoints
		for k+1 < len(s) && s[k+1] <= want {
			k++
		}
		o.x[i], o.y[i] = xs[k], ys[k]
	}
	h := o.length / pathPoints
	for i := range pathPoints {
		a, b := (i+pathPoints-4)%pathPoints, (i+4)%pathPoints
		ddx, ddy := (o.x[a]-2*o.x[i]+o.x[b])/(16*h*h), (o.y[a]-2*o.y[i]+o.y[b])/(16*h*h)
		o.curve[i] = math.Hypot(ddx, ddy)
	}
	return o
}

// at gives place (m) and direction at a fraction of the lap, and how much the curve slows the
// axes there, 0 to 1.
func (o *outline) at(f float64) (x, y, dx, dy, pace float64) {
	p := f * pathPoints
	i := int(p) % pathPoints
	k := (i + 1) % pathPoints
	r := p - math.Floor(p)
	x, y = o.x[i]+r*(o.x[k]-o.x[i]), o.y[i]+r*(o.y[k]-o.y[i])
	dx, dy = o.x[k]-o.x[i], o.y[k]-o.y[i]
	if n := math.Hypot(dx, dy); n > 0 {
		dx, dy = dx/n, dy/n
	}
	return x, y, dx, dy, 1 / (1 + 0.003*o.curve[i])
}
