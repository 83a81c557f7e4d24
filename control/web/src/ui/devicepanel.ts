/* Another microphone, camera or speaker in the midst of a call. */
import { listDevices, type KcsClient } from '../client';
import { words } from '../words';
import { el, field } from './dom';
import type { Panel } from './panel';

export class DevicePanel implements Panel {
    readonly title = words.settings;
    readonly body = el('div', { class: 'devices' });

    constructor(private readonly onSpeaker: (id: string) => void) {}

    update(): void {} /* devices are asked for when it is opened */

    shown(client: KcsClient): void {
        void this.list(client);
    }

    private async list(client: KcsClient): Promise<void> {
        const devices = await listDevices();
        const speakers = 'setSinkId' in HTMLMediaElement.prototype;
        const kinds: [string, string, string | undefined, (id: string) => void][] = [
            [
                'audioinput',
                words.join.microphone,
                client.own.options.microphone,
                (id) => void client.own.setDevice('audio', id),
            ],
            [
                'videoinput',
                words.join.camera,
                client.own.options.camera,
                (id) => void client.own.setDevice('video', id),
            ],
        ];

        if (speakers) {
            kinds.push(['audiooutput', words.join.speaker, undefined, this.onSpeaker]);
        }
        this.body.replaceChildren(el('p', { class: 'note' }, words.keys));
        for (const [kind, label, current, act] of kinds) {
            const found = devices.filter((each) => each.kind === kind && each.deviceId !== '');
            const select = el(
                'select',
                {},
                ...found.map((each, i) =>
                    el(
                        'option',
                        { value: each.deviceId, selected: each.deviceId === current },
                        each.label || words.join.device(label, i + 1),
                    ),
                ),
            );
            select.addEventListener('change', () => act(select.value));
            if (found.length > 0) {
                this.body.append(field(label, select));
            }
        }
    }
}
