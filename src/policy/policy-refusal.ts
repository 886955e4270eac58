/** What is wrong with a policy document, and where. */
import { Refusal } from '../base/index.js';
import { policyQuoteCharsMax } from './limits.js';

/** Thrown for every fault of a document. Other protocols than S3 give it a code of their own. */
export class PolicyRefusal extends Refusal<'MalformedPolicy'> {
  /** `Statement[2].Condition.StringLike`; empty for the document as a whole. */
  readonly place: string;
  /** 1-based, of the part that is meant. */
  readonly line: number;
  readonly column: number;

  constructor(place: string, position: { readonly line: number; readonly column: number }, what: string) {
    const at = `line ${position.line}, column ${position.column}`;
    super('MalformedPolicy', place === '' ? `${at}: ${what}` : `${place} (${at}): ${what}`);
    this.place = place;
    this.line = position.line;
    this.column = position.column;
  }
}

/** For messages: bounded, and with control characters escaped. */
export function quote(text: string): string {
  return JSON.stringify(text.length > policyQuoteCharsMax ? `${text.slice(0, policyQuoteCharsMax)}…` : text);
}
