package jinja

// expr is an expression; state.eval evaluates it within the budget.
type expr interface {
	eval(st *state, sc *scope) (Value, error)
}

// stmt is a statement or a piece of output.
type stmt interface {
	exec(st *state, sc *scope) (control, error)
	at() int // line
}

// control says how a list of statements ended.
type control uint8

const (
	ctlNext control = iota
	ctlBreak
	ctlContinue
)

type pos int

func (p pos) at() int { return int(p) }

// Expressions.
type (
	constExpr struct{ v Value }
	nameExpr  struct{ name string }
	listExpr  struct {
		items []expr
		tuple bool
	}
	dictExpr  struct{ keys, vals []expr }
	unaryExpr struct { // op: "-", "+", "not"
		op string
		x  expr
	}
	binaryExpr struct { // op: + - * / // % **
		op   string
		l, r expr
	}
	logicExpr struct { // and, or
		and  bool
		l, r expr
	}
	compareExpr struct { // l ops[0] rs[0] ops[1] rs[1] ...
		l   expr
		ops []string
		rs  []expr
	}
	concatExpr struct{ items []expr }
	condExpr   struct{ cond, then, els expr } // els may be nil
	attrExpr   struct {
		x    expr
		name string
	}
	itemExpr  struct{ x, key expr }
	sliceExpr struct{ x, start, stop, step expr } // the last three may be nil
	callExpr  struct {
		fn   expr
		args argExprs
	}
	filterExpr struct {
		x    expr // nil: the text of a filter or set block
		name string
		args argExprs
	}
	testExpr struct {
		x    expr
		name string
		args argExprs
	}
)

// argExprs are the arguments of a call.
type argExprs struct {
	pos     []expr
	names   []string // of kw
	kw      []expr
	star    expr // *args, may be nil
	dblStar expr // **kwargs, may be nil
}

// Statements.
type (
	dataStmt struct {
		pos
		text string
	}
	outputStmt struct {
		pos
		x expr
	}
	ifStmt struct {
		pos
		conds  []expr
		bodies [][]stmt
		els    []stmt
	}
	forStmt struct {
		pos
		target    target
		iter      expr
		cond      expr // may be nil
		body, els []stmt
		recursive bool
		// captures says that the body defines macros or call blocks, which keep
		// its scope, so that every turn needs a scope of its own.
		captures bool
	}
	setStmt struct {
		pos
		target target
		x      expr
	}
	setBlockStmt struct {
		pos
		target target
		filter expr // may be nil
		body   []stmt
	}
	filterStmt struct {
		pos
		filter expr
		body   []stmt
	}
	withStmt struct { // with, and generation, which only has a body
		pos
		targets []target
		vals    []expr
		body    []stmt
	}
	macroStmt struct {
		pos
		macro *macroDef
	}
	callStmt struct {
		pos
		call   *callExpr
		caller *macroDef
	}
	loopCtlStmt struct {
		pos
		ctl control
	}
)

// macroDef is the definition of a macro or of the body of a call block.
type macroDef struct {
	name                            string
	params                          []string
	defaults                        []expr // of the last len(defaults) params
	body                            []stmt
	usesArgs, usesKwargs, usesCalls bool // the body names varargs, kwargs, caller
}

// target is what a for or set assigns to: a name, an attribute of a namespace,
// or a tuple of targets.
type target struct {
	name  string
	attr  string   // of the namespace name, if not empty
	tuple []target // if not nil
}
