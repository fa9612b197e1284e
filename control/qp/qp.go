// Package qp solves small, dense, strictly convex quadratic programs: those of a predictive controller, with
// some ten unknowns and a hundred constraints, again and again within a known time.
package qp

import "math"

// Result says how a solution ended.
type Result int

const (
	Solved     Result = iota
	Infeasible        // no point meets the constraints
	Stopped           // the bound on steps was reached, or the matrix is not positive definite
)

func (r Result) String() string { return [...]string{"solved", "infeasible", "stopped"}[r] }

// Problem is: least ½·xᵀHx + gᵀx with A·x ≥ b. H is n × n, symmetric and positive definite; A is m × n.
// Both lie row by row.
type Problem struct {
	N, M    int
	H, G    []float64
	A, B    []float64
	Maximum int // steps; 0: 10·(n + m)
}

// Solver has the room that a solution takes, so that [Solver.Solve] does not allocate.
type Solver struct {
	n, m   int
	l      []float64 // Cholesky factor of H, lower
	v      []float64 // m × n: L⁻¹ times each constraint
	x, w   []float64 // n
	active []int     // constraints that hold with equality
	is     []bool
	lambda []float64 // by active
	gram   []float64 // of v over the active ones, and its factor
	r      []float64
	z      []float64
	Lambda []float64 // multipliers of the last solution, by constraint
	Steps  int       // of the last solution
}

// NewSolver makes one for problems of up to n unknowns and m constraints.
func NewSolver(n, m int) *Solver {
	return &Solver{
		n: n, m: m, l: make([]float64, n*n), v: make([]float64, m*n), x: make([]float64, n), w: make([]float64, n),
		active: make([]int, 0, n+1), is: make([]bool, m), lambda: make([]float64, 0, n+1), gram: make([]float64, n*n),
		r: make([]float64, n+1), z: make([]float64, n), Lambda: make([]float64, m),
	}
}

// Solve fills x with the solution by the dual method of Goldfarb and Idnani (Math. Programming 27, 1983, sec.
// 3): it begins at the unconstrained minimum, which needs no feasible start, and takes in the constraint
// that is violated most, until none is. x is the last point of that way also where it was stopped.
func (s *Solver) Solve(x []float64, p *Problem) Result {
	n, m := p.N, p.M
	if n > s.n || m > s.m || len(x) != n {
		panic("qp: the problem does not fit the solver")
	}
	clear(s.Lambda)
	s.Steps = 0
	if !cholesky(s.l, p.H, n) {
		return Stopped
	}
	for i := range n { // x = −H⁻¹·g
		x[i] = -p.G[i]
	}
	forward(s.l, x, n)
	backward(s.l, x, n)
	scale := 1.0
	for j := range m {
		v := s.v[j*n : (j+1)*n]
		copy(v, p.A[j*n:(j+1)*n])
		forward(s.l, v, n)
		s.is[j] = false
		scale = max(scale, math.Abs(p.B[j]))
	}
	s.active, s.lambda = s.active[:0], s.lambda[:0]
	most := p.Maximum
	if most == 0 {
		most = 10 * (n + m)
	}
	for {
		j := s.worst(x, p, 1e-9*scale)
		if j < 0 {
			for i, k := range s.active {
				s.Lambda[k] = s.lambda[i]
			}
			return Solved
		}
		if end := s.take(x, p, j, most); end != Solved {
			return end
		}
	}
}

// worst is the constraint violated most, relative to its length, −1 if none is.
func (s *Solver) worst(x []float64, p *Problem, tolerance float64) int {
	worst, by := -1, 0.0
	for j := range p.M {
		if s.is[j] {
			continue
		}
		a := p.A[j*p.N : (j+1)*p.N]
		length := math.Sqrt(dot(a, a))
		if length == 0 {
			if p.B[j] > tolerance {
				return j // 0 ≥ b never holds: taking it in finds that out
			}
			continue
		}
		if gap := (dot(a, x) - p.B[j]) / length; gap < -tolerance/max(1, length) && gap < by {
			worst, by = j, gap
		}
	}
	return worst
}

// take makes constraint j hold, dropping others where that must be.
func (s *Solver) take(x []float64, p *Problem, j, most int) Result {
	n := p.N
	vj := s.v[j*n : (j+1)*n]
	own := 0.0 // multiplier of j
	for {
		if s.Steps++; s.Steps > most {
			return Stopped
		}
		q := len(s.active)
		if !s.project(vj, q, n) {
			return Stopped
		}
		// w = vj less what the active ones span; the step is z = L⁻ᵀ·w and zᵀ·a = wᵀ·w.
		copy(s.w[:n], vj)
		for i, k := range s.active {
			vk := s.v[k*n : (k+1)*n]
			for c := range n {
				s.w[c] -= s.r[i] * vk[c]
			}
		}
		slope := dot(s.w[:n], s.w[:n])
		independent := q < n && slope > 1e-12*dot(vj, vj)
		drop, t1 := -1, math.Inf(1)
		for i := range q {
			if s.r[i] > 1e-14 && s.lambda[i]/s.r[i] < t1 {
				drop, t1 = i, s.lambda[i]/s.r[i]
			}
		}
		t2 := math.Inf(1)
		if independent {
			t2 = (p.B[j] - dot(p.A[j*n:(j+1)*n], x)) / slope
		}
		t := min(t1, t2)
		if math.IsInf(t, 1) {
			return Infeasible
		}
		if independent {
			copy(s.z[:n], s.w[:n])
			backward(s.l, s.z[:n], n)
			for c := range n {
				x[c] += t * s.z[c]
			}
		}
		for i := range q {
			s.lambda[i] = max(0, s.lambda[i]-t*s.r[i])
		}
		own += t
		if t2 <= t1 {
			s.active, s.lambda = append(s.active, j), append(s.lambda, own)
			s.is[j] = true
			return Solved
		}
		s.is[s.active[drop]] = false
		s.active = append(s.active[:drop], s.active[drop+1:]...)
		s.lambda = append(s.lambda[:drop], s.lambda[drop+1:]...)
	}
}

// project fills r with what of vj the active constraints make: the solution of (VᵀV)·r = Vᵀ·vj.
func (s *Solver) project(vj []float64, q, n int) bool {
	if q == 0 {
		return true
	}
	for a := range q {
		va := s.v[s.active[a]*n:][:n]
		for b := range a + 1 {
			d := dot(va, s.v[s.active[b]*n:][:n])
			s.gram[a*q+b], s.gram[b*q+a] = d, d
		}
		s.r[a] = dot(va, vj)
	}
	if !cholesky(s.gram[:q*q], s.gram[:q*q], q) {
		return false
	}
	forward(s.gram, s.r[:q], q)
	backward(s.gram, s.r[:q], q)
	return true
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// cholesky fills l, n × n, with the lower factor of the symmetric a; both may be the same. It is false
// where a is not positive definite.
func cholesky(l, a []float64, n int) bool {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= l[i*n+k] * l[j*n+k]
			}
			if i != j {
				l[i*n+j] = sum / l[j*n+j]
				continue
			}
			if !(sum > 0) || math.IsInf(sum, 1) {
				return false
			}
			l[i*n+i] = math.Sqrt(sum)
		}
	}
	return true
}

// forward solves L·y = y in place.
func forward(l, y []float64, n int) {
	for i := range n {
		sum := y[i]
		for k := range i {
			sum -= l[i*n+k] * y[k]
		}
		y[i] = sum / l[i*n+i]
	}
}

// backward solves Lᵀ·y = y in place.
func backward(l, y []float64, n int) {
	for i := n - 1; i >= 0; i-- {
		sum := y[i]
		for k := i + 1; k < n; k++ {
			sum -= l[k*n+i] * y[k]
		}
		y[i] = sum / l[i*n+i]
	}
}
