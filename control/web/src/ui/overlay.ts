/* What passes over the stage: reactions that float up, and captions. */
import { nameOf, type KcsClient } from '../client';
import { words } from '../words';
import { el } from './dom';

const FLOAT_MS = 4_000;
const AT_ONCE = 20;

export class Overlay {
    readonly reactions = el('div', { class: 'reactions' });
    readonly captions = el('div', {
        class: 'captions',
        role: 'log',
        'aria-label': words.captions,
        hidden: true,
    });
    captionsOn = false;

    react(emoji: string, name: string | undefined): void {
        const shown = el(
            'p',
            { class: 'reaction' },
            el('span', { class: 'emoji', 'aria-hidden': 'true' }, emoji),
            el('small', {}, name ?? ''),
        );

        if (this.reactions.children.length < AT_ONCE) {
            shown.style.setProperty('--x', String(Math.round(Math.random() * 100)));
            this.reactions.append(shown);
            window.setTimeout(() => shown.remove(), FLOAT_MS);
        }
    }

    update(client: KcsClient): void {
        const room = client.room.value;
        const lines = room.captions.map(({ speaker_user_id, text }) => {
            const name = speaker_user_id == null ? undefined : nameOf(room, speaker_user_id);
            return name === undefined ? text : `${name}: ${text}`;
        });

        this.captions.hidden = !this.captionsOn || lines.length === 0;
        if (this.captions.innerText !== lines.join('\n')) {
            this.captions.replaceChildren(...lines.map((line) => el('p', {}, line)));
        }
    }
}
