"""People on the fake Discord who send voice messages, and pass messages on."""

from typing import TYPE_CHECKING, Any

from tests.fakes.discord_rest import Upload, attach
from tests.fakes.discord_world import User, World

VOICE = 1 << 13  # IS_VOICE_MESSAGE; Message Flags
HAS_SNAPSHOT = 1 << 14


class Sharing:
    """Each gives the id of the message."""

    world: World

    if TYPE_CHECKING:  # FakeDiscord has it

        def _user(self, user_id: int | None, channel: Any) -> User: ...

    def user_sends_voice(
        self, channel_id: int, content: bytes = b"OggS", seconds: float = 2.6, user_id: int | None = None
    ) -> int:
        channel = self.world.channels[channel_id]
        kept = attach(self.world, channel, Upload("voice-message.ogg", content, "audio/ogg"))
        kept |= {"content_type": "audio/ogg", "duration_secs": seconds, "waveform": "AAAA"}
        user = self._user(user_id, channel)
        return self.world.post(channel, user, "", attachments=[kept], flags=VOICE).id

    def user_forwards(self, message_id: int, channel_id: int, user_id: int | None = None) -> int:
        """The message as it is now; its files keep their addresses' paths."""
        source, channel = self.world.find(message_id), self.world.channels[channel_id]
        user = self._user(user_id, channel)
        message = self.world.post(channel, user, "", flags=HAS_SNAPSHOT, forwarded=source)
        return message.id
