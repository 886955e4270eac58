/**
 * Conditions: an operator, a key, and the values it is compared with. All of a statement must hold; the values
 * of one are alternatives. What a key's absence means is settled when the document is read.
 */
import { valuesOf, type ConditionKey } from './condition-keys.js';
import { parseInstant } from './instant.js';
import { isInRange, parseAddress, parseRange, type AddressRange } from './ip-address.js';
import { quote } from './policy-refusal.js';
import type { ConditionValues } from './policy.js';
import { compilePattern, compileTemplate } from './template.js';

/** Whether a request's value is among the document's; null: it is no value of this kind. */
type Test = (value: string, values: ConditionValues) => boolean | null;

/** A value of the document, in its JSON spelling. */
type CompileValue = (text: string) => Test | string;

interface OperatorKind {
  /** Compiles one value, or says what a value must be. */
  readonly compile: CompileValue;
  /** Whether more than the first of a request's values counts without ForAnyValue and ForAllValues. */
  readonly isSet: boolean;
}

export interface Condition {
  readonly operator: string;
  readonly key: ConditionKey;
  /** As the document spells them. */
  readonly values: readonly string[];
  /** Holds for everything but its values. */
  readonly isNegated: boolean;
  holds(values: ConditionValues): boolean;
}

const equals: CompileValue = (text) => {
  const template = compileTemplate(text);
  return (value, values) => value === template.resolve(values);
};

const equalsIgnoreCase: CompileValue = (text) => {
  const template = compileTemplate(text);
  return (value, values) => value.toLowerCase() === template.resolve(values).toLowerCase();
};

const like: CompileValue = (text) => {
  const pattern = compilePattern(text);
  return (value, values) => pattern.matches(value, values);
};

/** `arn:partition:service:region:account:rest`, compared part by part: a star does not reach over a colon. */
function splitArn(text: string): string[] | null {
  const parts = text.split(':');
  return parts.length < 6 || parts[0] !== 'arn' ? null : [...parts.slice(0, 5), parts.slice(5).join(':')];
}

/** The same for a pattern: a colon within `${…}` is one of a variable's name. */
function splitArnPattern(text: string): string[] | null {
  const parts = [''];
  for (const piece of text.match(/\$\{[^}]*\}|[^]/gu) ?? []) {
    if (piece === ':' && parts.length < 6) parts.push('');
    else parts[parts.length - 1] += piece;
  }
  return parts.length < 6 || parts[0] !== 'arn' ? null : parts;
}

const arn: CompileValue = (text) => {
  const patterns = splitArnPattern(text)?.map(compilePattern);
  if (patterns === undefined) return 'an ARN of six parts';
  return (value, values) => {
    const parts = splitArn(value);
    return parts !== null && patterns.every((pattern, index) => pattern.matches(parts[index] ?? '', values));
  };
};

const binary: CompileValue = (text) => {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return 'Base64';
  const decoded = Buffer.from(text, 'base64');
  return (value) => Buffer.from(value).equals(decoded);
};

const ipAddress: CompileValue = (text) => {
  const range: AddressRange | null = parseRange(text);
  if (range === null) return 'an IP address or a range such as 10.0.0.0/8';
  return (value) => {
    const address = parseAddress(value);
    return address !== null && isInRange(address, range);
  };
};

const bool: CompileValue = (text) => {
  const wanted = text.toLowerCase();
  if (wanted !== 'true' && wanted !== 'false') return 'true or false';
  return (value) => {
    const given = value.toLowerCase();
    return given === 'true' || given === 'false' ? given === wanted : null;
  };
};

type Compare = (given: number, wanted: number) => boolean;

/** Fifteen digits are exact. */
const decimal = /^[+-]?\d{1,15}(?:\.\d{1,15})?$/;

const numeric =
  (compare: Compare): CompileValue =>
  (text) => {
    if (!decimal.test(text)) return 'a number of at most 15 digits';
    const wanted = Number(text);
    return (value) => (decimal.test(value) ? compare(Number(value), wanted) : null);
  };

const date =
  (compare: Compare): CompileValue =>
  (text) => {
    const wanted = parseInstant(text);
    if (wanted === null) return 'a date such as 2026-01-31T00:00:00Z, or seconds since 1970';
    return (value) => {
      const given = parseInstant(value);
      return given === null ? null : compare(given, wanted);
    };
  };

const comparisons: readonly (readonly [string, Compare])[] = [
  ['Equals', (given, wanted) => given === wanted],
  ['LessThan', (given, wanted) => given < wanted],
  ['LessThanEquals', (given, wanted) => given <= wanted],
  ['GreaterThan', (given, wanted) => given > wanted],
  ['GreaterThanEquals', (given, wanted) => given >= wanted],
];

const kinds: ReadonlyMap<string, OperatorKind> = new Map<string, OperatorKind>([
  ['StringEquals', { compile: equals, isSet: true }],
  ['StringEqualsIgnoreCase', { compile: equalsIgnoreCase, isSet: true }],
  ['StringLike', { compile: like, isSet: true }],
  ['ArnEquals', { compile: arn, isSet: true }],
  ['ArnLike', { compile: arn, isSet: true }],
  ['BinaryEquals', { compile: binary, isSet: true }],
  ['IpAddress', { compile: ipAddress, isSet: true }],
  ['Bool', { compile: bool, isSet: false }],
  ...comparisons.flatMap(([name, compare]): [string, OperatorKind][] => [
    [`Numeric${name}`, { compile: numeric(compare), isSet: false }],
    [`Date${name}`, { compile: date(compare), isSet: false }],
  ]),
]);

/** The negated operators, and what they negate. */
const negations: ReadonlyMap<string, string> = new Map([
  ['StringNotEquals', 'StringEquals'],
  ['StringNotEqualsIgnoreCase', 'StringEqualsIgnoreCase'],
  ['StringNotLike', 'StringLike'],
  ['ArnNotEquals', 'ArnEquals'],
  ['ArnNotLike', 'ArnLike'],
  ['NotIpAddress', 'IpAddress'],
  ['NumericNotEquals', 'NumericEquals'],
  ['DateNotEquals', 'DateEquals'],
]);

/** Without the prefixes ForAllValues: and ForAnyValue:, and without IfExists. */
export const conditionOperators: readonly string[] = [...kinds.keys(), ...negations.keys(), 'Null'].sort();

export interface Operator {
  readonly name: string;
  readonly base: string;
  readonly quantifier: 'all' | 'any' | null;
  readonly isIfExists: boolean;
}

/** Null: there is no such operator. */
export function findOperator(name: string): Operator | null {
  const found = /^(?:For(All|Any)Values?:)?([A-Za-z]+?)(IfExists)?$/.exec(name);
  const [, quantifier, base = '', ifExists] = found ?? [];
  const wanted = quantifier === 'All' ? 'ForAllValues:' : quantifier === 'Any' ? 'ForAnyValue:' : '';
  if (found === null || !name.startsWith(wanted) || !conditionOperators.includes(base)) return null;
  // Whether a key is there is all that Null asks.
  if (base === 'Null' && name !== base) return null;
  return {
    name,
    base,
    quantifier: quantifier === 'All' ? 'all' : quantifier === 'Any' ? 'any' : null,
    isIfExists: ifExists !== undefined,
  };
}

/** What an absent key means. */
function holdsWhenAbsent({ quantifier, isIfExists }: Operator, isNegated: boolean, isSet: boolean): boolean {
  if (isIfExists || quantifier === 'all') return true;
  if (quantifier === 'any') return false;
  return isNegated && isSet;
}

type Evaluate = (given: readonly string[], values: ConditionValues) => boolean;

function evaluator(tests: readonly Test[], operator: Operator, isNegated: boolean, isSet: boolean): Evaluate {
  const [only] = tests;
  const isAmong: Test =
    tests.length === 1 && only !== undefined
      ? only
      : (value, values) => {
          let isUnreadable = false;
          for (const test of tests) {
            const answer = test(value, values);
            if (answer === true) return true;
            if (answer === null) isUnreadable = true;
          }
          return isUnreadable ? null : false;
        };
  const holdsFor = isNegated
    ? (value: string, values: ConditionValues): boolean => isAmong(value, values) === false
    : (value: string, values: ConditionValues): boolean => isAmong(value, values) === true;
  if (operator.quantifier === 'any') return (given, values) => given.some((value) => holdsFor(value, values));
  // A negated operator holds when no value is among the document's.
  if (operator.quantifier === 'all' || (isNegated && isSet)) {
    return (given, values) => given.every((value) => holdsFor(value, values));
  }
  if (isSet) return (given, values) => given.some((value) => holdsFor(value, values));
  return (given, values) => holdsFor(given[0] ?? '', values);
}

function compileNull(texts: readonly string[]): Evaluate | string {
  const wanted = new Set(texts.map((text) => text.toLowerCase()));
  for (const text of wanted) if (text !== 'true' && text !== 'false') return 'true or false';
  return (given) => wanted.has(given.length === 0 ? 'true' : 'false');
}

/** Compiles one value list; a string says what its values must be, and `index` which of them is not. */
export function compileCondition(
  operator: Operator,
  key: ConditionKey,
  texts: readonly string[],
): Condition | { readonly index: number; readonly what: string } {
  const base = { operator: operator.name, key, values: texts };
  if (operator.base === 'Null') {
    const evaluate = compileNull(texts);
    if (typeof evaluate === 'string') return { index: 0, what: `Null takes ${evaluate}` };
    return { ...base, isNegated: false, holds: (values) => evaluate(valuesOf(key, values) ?? [], values) };
  }
  const positive = negations.get(operator.base);
  const isNegated = positive !== undefined;
  const kind = kinds.get(positive ?? operator.base);
  if (kind === undefined) return { index: 0, what: `unknown operator ${quote(operator.name)}` };
  const tests: Test[] = [];
  for (const [index, text] of texts.entries()) {
    const test = kind.compile(text);
    if (typeof test === 'string') return { index, what: `${operator.base} takes ${test}, not ${quote(text)}` };
    tests.push(test);
  }
  const whenAbsent = holdsWhenAbsent(operator, isNegated, kind.isSet);
  const evaluate = evaluator(tests, operator, isNegated, kind.isSet);
  return {
    ...base,
    isNegated,
    holds: (values) => {
      const given = valuesOf(key, values);
      return given === undefined ? whenAbsent : evaluate(given, values);
    },
  };
}
