/** Bounds of a policy document, with their reasons. */
import { limits as common } from '../base/index.js';

/** A bucket policy is at most 20 KiB in S3; the same for the others keeps one budget for parsing on the main thread. */
export const policyBytesMax = 20 * 1024;
/** Document, Statement list, statement, Condition, operator, list of values: six. Two to spare for a better message. */
export const policyDepthMax = 8;
/** A statement has 60 bytes at the least; nobody writes so many by hand, and deciding walks them. */
export const policyStatementsMax = 200;
/** Actions, resources, principals or values of one list. */
export const policyListMax = 500;
/** One action, resource, principal or value: a key of 1,024 bytes behind its bucket and ARN prefix fits. */
export const policyStringCharsMax = 2 * common.keyBytesMax;
/** What a message quotes of the document: an answer must not amplify. */
export const policyQuoteCharsMax = 80;
/** Statements that `explain` describes: more do not help a reader. */
export const explainedStatementsMax = 50;
/** Actions whose candidate statements a policy remembers. There are fewer actions than this. */
export const candidatesMax = 512;
