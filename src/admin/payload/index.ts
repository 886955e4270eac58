export { createPayloadCipher, type Argon2id, type PayloadCipher } from './cipher.js';
