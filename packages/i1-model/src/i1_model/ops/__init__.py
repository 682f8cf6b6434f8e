"""Operations that layers are made of: attention, matrix products, rematerialisation, sharding."""
