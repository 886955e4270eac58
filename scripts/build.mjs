// `npm run build`: packages, addon and TypeScript, each only when out of date.
import { buildNative, buildTypeScript, installPackages, main } from './steps.mjs';

await main(async () => {
  await installPackages();
  await buildNative();
  await buildTypeScript();
});
