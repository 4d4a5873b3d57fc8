// @medplum/core (npm): node with_medplum.cjs BASE TOKEN
const assert = require('node:assert/strict');
const { MedplumClient } = require('@medplum/core');

async function main() {
  const [base, accessToken] = process.argv.slice(2);
  const [, baseUrl, fhirUrlPath] = base.match(/^(.*\/)([^/]+)$/);
  const client = new MedplumClient({ baseUrl, fhirUrlPath, accessToken, fetch });
  const resourceType = 'Patient';
  const identifier = [{ system: 'urn:conformance:medplum', value: '1' }];
  const mine = 'identifier=urn:conformance:medplum|1';

  const patient = await client.createResource({ resourceType, identifier, name: [{ text: '孙七', family: '孙' }] });
  assert.equal((await client.readResource(resourceType, patient.id)).name[0].text, '孙七');
  assert.equal((await client.updateResource({ ...patient, gender: 'male' })).meta.versionId, '2');
  const operations = [{ op: 'replace', path: '/gender', value: 'female' }];
  assert.equal((await client.patchResource(resourceType, patient.id, operations)).gender, 'female');
  assert.equal((await client.search(resourceType, mine)).total, 1);
  assert.equal((await client.searchOne(resourceType, mine)).id, patient.id);
  assert.equal((await client.createResourceIfNoneExist({ resourceType, identifier }, mine)).id, patient.id);
  assert.equal((await client.upsertResource({ resourceType, identifier, gender: 'other' }, mine)).gender, 'other');
  assert.equal((await client.readHistory(resourceType, patient.id)).entry.length, 4);
  assert.equal((await client.readVersion(resourceType, patient.id, '1')).meta.versionId, '1');
  const entry = [{ request: { method: 'GET', url: `Patient/${patient.id}` } }];
  assert.equal((await client.executeBatch({ resourceType: 'Bundle', type: 'batch', entry })).entry.length, 1);
  assert.equal((await client.readPatientEverything(patient.id)).entry.length, 1);
  assert.equal((await client.validateResource(patient)).resourceType, 'OperationOutcome');
  const binary = await client.createBinary({ data: 'hello', contentType: 'text/plain' });
  assert.equal(binary.contentType, 'text/plain');
  await client.deleteResource(resourceType, patient.id);
  await assert.rejects(client.readResource(resourceType, patient.id));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
