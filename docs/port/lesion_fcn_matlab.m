function [net, stats] = lesion_fcn_matlab(vggPath, imdb, varargin)
% LESION_FCN_MATLAB  Trains the network of Qi et al. 2017 with MatConvNet 1.0-beta25
% imdb.images has data (HxWx3xN), masks (HxWx1xN, 0 or 255), the mean colour (1x1x3x1), set (1xN)

opts.fcWidth = 4096 ;
opts.train = struct('expDir', 'data/lesion_fcn', 'batchSize', 6, 'numEpochs', 20) ;
opts.train.learningRate = 1e-3 ;
opts.train.momentum = 0.9 ;
opts.train.weightDecay = 1e-4 ;
opts = vl_argparse(opts, varargin) ;
net = lesion_fcn('modelPath', vggPath, 'fcWidth', opts.fcWidth) ;
[net, stats] = cnn_train_dag(net, imdb, @getBatch, opts.train) ;
end

function inputs = getBatch(imdb, batch)
% images less their mean colour; labels 1 for skin and 2 for lesion
im = single(imdb.images.data(:,:,:,batch)) - single(imdb.images.mean) ;
label = 1 + single(imdb.images.masks(:,:,:,batch) > 128) ;
inputs = {'input', im, 'label', label} ;
end
