package formula

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// A kind is the type of an expression or of a part of it.
type kind string

const (
	number kind = "a number"
	truth  kind = "a condition"
)

// functions are those that an expression may call.
func functions() []string { return []string{"min", "max", "ceil", "floor", "abs"} }

// check parses an expression and checks each part of it. It returns the names that are used,
// sorted, or every mistake. Expr itself would accept lists, texts, loops and conversions between types.
func check(text string, names []string, want kind) ([]string, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("%d bytes long, want at most %d", len(text), MaxLength)
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("empty, want an expression such as ceil(backlog / 20)")
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, placed(err)
	}
	c := checker{source: tree.Source, names: names, uses: make(map[string]struct{})}
	c.expect(tree.Node, want)
	if len(c.mistakes) > 0 {
		return nil, errors.New(strings.Join(c.mistakes, "; "))
	}
	return slices.Sorted(maps.Keys(c.uses)), nil
}

// placed returns an error of expr in one line with its place: line and column.
func placed(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	if at.Prev != nil {
		return fmt.Errorf("%w at %d:%d", at.Prev, at.Line, at.Column+1)
	}
	return fmt.Errorf("%s at %d:%d", at.Message, at.Line, at.Column+1)
}

// A checker checks the parts of one expression.
type checker struct {
	source file.Source
	names  []string
	uses   map[string]struct{}
	// mistakes have their places and what is allowed.
	mistakes []string
}

// fail notes a mistake in a part, and what is allowed.
func (c *checker) fail(node ast.Node, mistake, advice string) {
	at := &file.Error{Location: node.Location(), Message: mistake}
	c.mistakes = append(c.mistakes, fmt.Sprintf("%v, want %s", placed(at.Bind(c.source)), advice))
}

// expect checks a part that has to be of a kind. The kind of a part with a mistake is not known.
func (c *checker) expect(node ast.Node, want kind) {
	before := len(c.mistakes)
	if got := c.kindOf(node); len(c.mistakes) == before && got != want {
		c.fail(node, string(got), string(want))
	}
}

// kindOf checks a part and returns its kind.
func (c *checker) kindOf(node ast.Node) kind {
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return number
	case *ast.BoolNode:
		return truth
	case *ast.IdentifierNode:
		c.name(n, n.Value)
		return number
	case *ast.MemberNode:
		return c.member(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		c.expect(n.Cond, truth)
		kind := c.kindOf(n.Exp1)
		c.expect(n.Exp2, kind)
		return kind
	case *ast.BuiltinNode:
		return c.call(n)
	case *ast.CallNode:
		if callee, isName := n.Callee.(*ast.IdentifierNode); isName {
			c.unknownFunction(n, callee.Value)
			return number
		}
	}
	c.fail(node, "no part of a formula", "numbers, names, operators and functions alone")
	return number
}

// name checks the name of a signal, a need or replicas.
func (c *checker) name(node ast.Node, name string) {
	if slices.Contains(c.names, name) {
		c.uses[name] = struct{}{}
		return
	}
	if name == needs {
		c.fail(node, "need without a signal", "the need of one, such as "+Need("NAME"))
		return
	}
	c.fail(node, "unknown name "+name, oneOf(name, c.names))
}

// member checks need.NAME.
func (c *checker) member(n *ast.MemberNode) kind {
	object, isName := n.Node.(*ast.IdentifierNode)
	property, isText := n.Property.(*ast.StringNode)
	if !isName || !isText {
		c.fail(n, "no part of a formula", "a dot only in the need of a signal, such as "+Need("NAME"))
		return number
	}
	c.name(n.Node, object.Value+"."+property.Value)
	return number
}

func (c *checker) unary(n *ast.UnaryNode) kind {
	kind := number
	if n.Operator == "!" || n.Operator == "not" {
		kind = truth
	}
	c.expect(n.Node, kind)
	return kind
}

func (c *checker) binary(n *ast.BinaryNode) kind {
	operands, result := number, number
	switch n.Operator {
	case "+", "-", "*", "/", "**", "^":
	case "<", ">", "<=", ">=", "==", "!=":
		result = truth
	case "and", "or", "&&", "||":
		operands, result = truth, truth
	default:
		c.fail(n, "unknown operator "+n.Operator, "+ - * / ** < > <= >= == != and or not or ?:")
		return number
	}
	c.expect(n.Left, operands)
	c.expect(n.Right, operands)
	return result
}

// call checks a call of one of functions.
func (c *checker) call(n *ast.BuiltinNode) kind {
	if !slices.Contains(functions(), n.Name) {
		c.unknownFunction(n, n.Name)
		return number
	}
	for _, argument := range n.Arguments {
		c.expect(argument, number)
	}
	several := n.Name == "min" || n.Name == "max"
	switch {
	case several && len(n.Arguments) == 0:
		c.fail(n, n.Name+" of nothing", "one number or more")
	case !several && len(n.Arguments) != 1:
		c.fail(n, fmt.Sprintf("%s of %d numbers", n.Name, len(n.Arguments)), "one")
	}
	return number
}

func (c *checker) unknownFunction(node ast.Node, name string) {
	c.fail(node, "unknown function "+name, oneOf(name, functions()))
}

// oneOf lists the known names, and asks whether the nearest one was meant.
func oneOf(name string, known []string) string {
	list := "one of " + strings.Join(known, ", ")
	if near := spelling.Nearest(name, known); near != "" {
		list += "; did you mean " + near + "?"
	}
	return list
}
